#include "stream/encoding.hpp"

#include <plug/error.hpp>

#include <algorithm>

#include "sys/iconv.hpp"

namespace plug::detail::stream {

namespace {

/// One of Python's encodings: the codec's name, iconv(3)'s name, and Python's aliases.
struct KnownEncoding {
  std::string_view name;
  Codec codec;
  const char* iconv_name;
  std::string_view aliases;
};

// clang-format off
constexpr KnownEncoding kKnown[] = {
    {"ascii", Codec::ascii, "", "646 ansi_x3.4_1968 ansi_x3.4_1986 ansi_x3_4_1968 cp367 csascii ibm367 iso646_us iso_646.irv_1991 iso_ir_6 us us_ascii"},
    {"big5", Codec::other, "BIG5", "big5_tw csbig5 x_mac_trad_chinese"},
    {"big5hkscs", Codec::other, "BIG5HKSCS", "big5_hkscs hkscs"},
    {"cp037", Codec::charmap, "CP037", "037 csibm037 ebcdic_cp_ca ebcdic_cp_nl ebcdic_cp_us ebcdic_cp_wt ibm037 ibm039"},
    {"cp1026", Codec::charmap, "CP1026", "1026 csibm1026 ibm1026"},
    {"cp1125", Codec::charmap, "CP1125", "1125 cp866u ibm1125 ruscii"},
    {"cp1140", Codec::charmap, "CP1140", "1140 ibm1140"},
    {"cp1250", Codec::charmap, "CP1250", "1250 windows_1250"},
    {"cp1251", Codec::charmap, "CP1251", "1251 windows_1251"},
    {"cp1252", Codec::charmap, "CP1252", "1252 windows_1252"},
    {"cp1253", Codec::charmap, "CP1253", "1253 windows_1253"},
    {"cp1254", Codec::charmap, "CP1254", "1254 windows_1254"},
    {"cp1255", Codec::charmap, "CP1255", "1255 windows_1255"},
    {"cp1256", Codec::charmap, "CP1256", "1256 windows_1256"},
    {"cp1257", Codec::charmap, "CP1257", "1257 windows_1257"},
    {"cp1258", Codec::charmap, "CP1258", "1258 windows_1258"},
    {"cp273", Codec::charmap, "CP273", "273 csibm273 ibm273"},
    {"cp424", Codec::charmap, "CP424", "424 csibm424 ebcdic_cp_he ibm424"},
    {"cp437", Codec::charmap, "CP437", "437 cspc8codepage437 ibm437"},
    {"cp500", Codec::charmap, "CP500", "500 csibm500 ebcdic_cp_be ebcdic_cp_ch ibm500"},
    {"cp737", Codec::charmap, "CP737", ""},
    {"cp775", Codec::charmap, "CP775", "775 cspc775baltic ibm775"},
    {"cp850", Codec::charmap, "CP850", "850 cspc850multilingual ibm850"},
    {"cp852", Codec::charmap, "CP852", "852 cspcp852 ibm852"},
    {"cp855", Codec::charmap, "CP855", "855 csibm855 ibm855"},
    {"cp856", Codec::charmap, "CP856", ""},
    {"cp857", Codec::charmap, "CP857", "857 csibm857 ibm857"},
    {"cp858", Codec::charmap, "CP858", "858 csibm858 ibm858"},
    {"cp860", Codec::charmap, "CP860", "860 csibm860 ibm860"},
    {"cp861", Codec::charmap, "CP861", "861 cp_is csibm861 ibm861"},
    {"cp862", Codec::charmap, "CP862", "862 cspc862latinhebrew ibm862"},
    {"cp863", Codec::charmap, "CP863", "863 csibm863 ibm863"},
    {"cp864", Codec::charmap, "CP864", "864 csibm864 ibm864"},
    {"cp865", Codec::charmap, "CP865", "865 csibm865 ibm865"},
    {"cp866", Codec::charmap, "CP866", "866 csibm866 ibm866"},
    {"cp869", Codec::charmap, "CP869", "869 cp_gr csibm869 ibm869"},
    {"cp874", Codec::charmap, "CP874", ""},
    {"cp875", Codec::charmap, "CP875", ""},
    {"cp932", Codec::other, "CP932", "932 ms932 ms_kanji mskanji"},
    {"cp949", Codec::other, "CP949", "949 ms949 uhc"},
    {"cp950", Codec::other, "CP950", "950 ms950"},
    {"euc_jis_2004", Codec::other, "EUC-JISX0213", "euc_jis2004 eucjis2004 jisx0213"},
    {"euc_jisx0213", Codec::other, "EUC-JISX0213", "eucjisx0213"},
    {"euc_jp", Codec::other, "EUC-JP", "eucjp u_jis ujis"},
    {"euc_kr", Codec::other, "EUC-KR", "euckr korean ks_c_5601 ks_c_5601_1987 ks_x_1001 ksc5601 ksx1001 x_mac_korean"},
    {"gb18030", Codec::other, "GB18030", "gb18030_2000"},
    {"gb2312", Codec::other, "GB2312", "chinese csiso58gb231280 euc_cn euccn eucgb2312_cn gb2312_1980 gb2312_80 iso_ir_58 x_mac_simp_chinese"},
    {"gbk", Codec::other, "GBK", "936 cp936 ms936"},
    {"hp_roman8", Codec::charmap, "HP-ROMAN8", "cp1051 cshproman8 ibm1051 r8 roman8"},
    {"iso2022_jp", Codec::other, "ISO2022JP", "csiso2022jp iso2022jp iso_2022_jp"},
    {"iso2022_jp_2", Codec::other, "ISO2022JP2", "iso2022jp_2 iso_2022_jp_2"},
    {"iso2022_jp_3", Codec::other, "ISO-2022-JP-3", "iso2022jp_3 iso_2022_jp_3"},
    {"iso2022_kr", Codec::other, "ISO2022KR", "csiso2022kr iso2022kr iso_2022_kr"},
    {"iso8859_10", Codec::charmap, "ISO8859-10", "csisolatin6 iso_8859_10 iso_8859_10_1992 iso_ir_157 l6 latin6"},
    {"iso8859_11", Codec::charmap, "ISO8859-11", "iso_8859_11 iso_8859_11_2001 thai"},
    {"iso8859_13", Codec::charmap, "ISO8859-13", "iso_8859_13 l7 latin7"},
    {"iso8859_14", Codec::charmap, "ISO8859-14", "iso_8859_14 iso_8859_14_1998 iso_celtic iso_ir_199 l8 latin8"},
    {"iso8859_15", Codec::charmap, "ISO8859-15", "iso_8859_15 l9 latin9"},
    {"iso8859_16", Codec::charmap, "ISO8859-16", "iso_8859_16 iso_8859_16_2001 iso_ir_226 l10 latin10"},
    {"iso8859_2", Codec::charmap, "ISO8859-2", "csisolatin2 iso_8859_2 iso_8859_2_1987 iso_ir_101 l2 latin2"},
    {"iso8859_3", Codec::charmap, "ISO8859-3", "csisolatin3 iso_8859_3 iso_8859_3_1988 iso_ir_109 l3 latin3"},
    {"iso8859_4", Codec::charmap, "ISO8859-4", "csisolatin4 iso_8859_4 iso_8859_4_1988 iso_ir_110 l4 latin4"},
    {"iso8859_5", Codec::charmap, "ISO8859-5", "csisolatincyrillic cyrillic iso_8859_5 iso_8859_5_1988 iso_ir_144"},
    {"iso8859_6", Codec::charmap, "ISO8859-6", "arabic asmo_708 csisolatinarabic ecma_114 iso_8859_6 iso_8859_6_1987 iso_ir_127"},
    {"iso8859_7", Codec::charmap, "ISO8859-7", "csisolatingreek ecma_118 elot_928 greek greek8 iso_8859_7 iso_8859_7_1987 iso_ir_126"},
    {"iso8859_8", Codec::charmap, "ISO8859-8", "csisolatinhebrew hebrew iso_8859_8 iso_8859_8_1988 iso_ir_138"},
    {"iso8859_9", Codec::charmap, "ISO8859-9", "csisolatin5 iso_8859_9 iso_8859_9_1989 iso_ir_148 l5 latin5"},
    {"johab", Codec::other, "JOHAB", "cp1361 ms1361"},
    {"koi8_r", Codec::charmap, "KOI8-R", "cskoi8r"},
    {"koi8_t", Codec::charmap, "KOI8-T", ""},
    {"koi8_u", Codec::charmap, "KOI8-U", ""},
    {"kz1048", Codec::charmap, "RK1048", "kz_1048 rk1048 strk1048_2002"},
    {"latin_1", Codec::latin1, "", "8859 cp819 csisolatin1 ibm819 iso8859 iso8859_1 iso_8859_1 iso_8859_1_1987 iso_ir_100 l1 latin latin1"},
    {"mac_cyrillic", Codec::charmap, "MAC-CYRILLIC", "maccyrillic"},
    {"mac_iceland", Codec::charmap, "MAC-IS", "maciceland"},
    {"mac_latin2", Codec::charmap, "MAC-CENTRALEUROPE", "mac_centeuro maccentraleurope maclatin2"},
    {"mac_roman", Codec::charmap, "MACINTOSH", "macintosh macroman"},
    {"ptcp154", Codec::charmap, "PT154", "cp154 csptcp154 cyrillic_asian pt154"},
    {"shift_jis", Codec::other, "SHIFT_JIS", "csshiftjis s_jis shiftjis sjis x_mac_japanese"},
    {"shift_jis_2004", Codec::other, "SHIFT_JISX0213", "s_jis_2004 shiftjis2004 sjis_2004"},
    {"shift_jisx0213", Codec::other, "SHIFT_JISX0213", "s_jisx0213 shiftjisx0213 sjisx0213"},
    {"tis_620", Codec::charmap, "TIS-620", "iso_ir_166 tis620 tis_620_0 tis_620_2529_0 tis_620_2529_1"},
    {"utf_16", Codec::utf16, "", "u16 utf16"},
    {"utf_16_be", Codec::utf16, "", "unicodebigunmarked utf_16be utf16be"},
    {"utf_16_le", Codec::utf16, "", "unicodelittleunmarked utf_16le utf16le"},
    {"utf_32", Codec::utf32, "", "u32 utf32"},
    {"utf_32_be", Codec::utf32, "", "utf_32be utf32be"},
    {"utf_32_le", Codec::utf32, "", "utf_32le utf32le"},
    {"utf_7", Codec::other, "UTF-7", "u7 unicode_1_1_utf_7 utf7"},
    {"utf_8", Codec::utf8, "", "cp65001 u8 utf utf8 utf8_ucs2 utf8_ucs4"},
    {"utf_8_sig", Codec::utf8, "", ""},
};

/// The single bytes `first` to `last`, which Python decodes to `character` and its successors.
struct ByteDeviation {
  std::string_view encoding;
  unsigned char first, last;
  char16_t character;
};

constexpr ByteDeviation kBytes[] = {
    {"cp273", 0xBC, 0xBC, 0x203E},
    {"cp424", 0x78, 0x78, 0x2017},
    {"cp424", 0x8F, 0x8F, 0x00B1},
    {"cp856", 0x1A, 0x1A, 0x001A},
    {"cp856", 0x1C, 0x1C, 0x001C},
    {"cp856", 0x7F, 0x7F, 0x007F},
    {"cp856", 0xEE, 0xEE, 0x00AF},
    {"cp856", 0xFA, 0xFA, 0x00B7},
    {"cp875", 0x6A, 0x6A, 0x007C},
    {"cp875", 0x74, 0x74, 0x00A0},
    {"cp875", 0xDC, 0xDC, 0x001A},
    {"cp875", 0xDD, 0xDD, 0x0387},
    {"cp875", 0xE1, 0xE1, 0x001A},
    {"cp875", 0xEC, 0xEC, 0x001A},
    {"cp875", 0xED, 0xED, 0x001A},
    {"cp875", 0xFC, 0xFC, 0x001A},
    {"cp875", 0xFD, 0xFD, 0x001A},
    {"cp1026", 0x9D, 0x9D, 0x00B8},
    {"cp1026", 0xBC, 0xBC, 0x00AF},
    {"mac_cyrillic", 0xFF, 0xFF, 0x20AC},
    {"mac_iceland", 0xA0, 0xA0, 0x00DD},
    {"mac_iceland", 0xC6, 0xC6, 0x2206},
    {"mac_iceland", 0xD0, 0xD1, 0x2013},
    {"mac_iceland", 0xD7, 0xD7, 0x25CA},
    {"mac_iceland", 0xDB, 0xDB, 0x20AC},
    {"mac_iceland", 0xDC, 0xDC, 0x00D0},
    {"mac_iceland", 0xDD, 0xDD, 0x00F0},
    {"mac_iceland", 0xE0, 0xE0, 0x00FD},
    {"mac_iceland", 0xF0, 0xF0, 0xF8FF},
    {"mac_iceland", 0xF6, 0xF6, 0x02C6},
    {"mac_iceland", 0xF7, 0xF7, 0x02DC},
    {"mac_roman", 0xC6, 0xC6, 0x2206},
    {"mac_roman", 0xF0, 0xF0, 0xF8FF},
    {"tis_620", 0x80, 0x9F, 0x0080},
};
// clang-format on

/// The encodings in which, for Python, any byte above ASCII may begin a character.
constexpr std::string_view kOfPairs[] = {"big5",         "big5hkscs",    "cp949",  "cp950",
                                         "euc_jis_2004", "euc_jisx0213", "euc_jp", "euc_kr",
                                         "gb18030",      "gb2312",       "gbk",    "johab"};

/// Returns a name as Python's codec search spells it: in lower case, with an underscore for each
/// run of characters other than letters, digits and dots.
std::string normalized(std::string_view given) {
  std::string name;
  bool between = false;
  for (const char c : given) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool counts = upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.';
    if (counts && between && !name.empty()) name += '_';
    between = !counts;
    if (counts) name += upper ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return name;
}

bool has_word(std::string_view words, std::string_view wanted) {
  while (!words.empty()) {
    const std::size_t end = std::min(words.find(' '), words.size());
    if (words.substr(0, end) == wanted) return true;
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return false;
}

const KnownEncoding* find_known(const std::string& given) {
  const std::string name = normalized(given);
  for (const KnownEncoding& known : kKnown)
    if (known.name == name || has_word(known.aliases, name)) return &known;
  return nullptr;
}

bool iconv_knows(const std::string& name) {
  return sys::Converter("UTF-8", name).is_open() && sys::Converter(name, "UTF-8").is_open();
}

/// Returns iconv's name for an encoding that Python does not know, or whose name is spelled as
/// Python would; empty if iconv does not know it.
std::string find_iconv_name(const std::string& name) {
  // A slash would begin an option of iconv, and an empty name means the locale's encoding.
  if (name.empty() || name.find_first_of(std::string_view("/\0", 2)) != std::string::npos)
    return {};
  std::string dashes = name;
  std::replace(dashes.begin(), dashes.end(), '_', '-');
  std::string plain = name;
  std::erase_if(plain, [](char c) { return c == '-' || c == '_' || c == ' '; });
  for (const std::string& candidate : {name, dashes, plain})
    if (iconv_knows(candidate)) return candidate;
  return {};
}

}  // namespace

CharacterMap::CharacterMap(std::string_view python_name, const std::string& iconv_name) {
  sys::Converter converter("UTF-16LE", iconv_name);
  for (unsigned value = 0; value < 256; ++value) {
    const char byte = static_cast<char>(value);
    char unit[8];
    const auto step = converter.convert(&byte, 1, unit, sizeof unit);
    // iconv holds back a character that the next one may combine with, until the reset.
    const std::size_t size =
        step.written + converter.reset(unit + step.written, sizeof unit - step.written);
    characters_[value] = kNone;
    if (step.stop == sys::Converter::Stop::done && size == 2)
      characters_[value] = static_cast<char16_t>(static_cast<unsigned char>(unit[0]) |
                                                 static_cast<unsigned char>(unit[1]) << 8);
  }
  for (const ByteDeviation& row : kBytes) {
    if (row.encoding != python_name) continue;
    for (unsigned byte = row.first; byte <= row.last; ++byte)
      characters_[byte] = static_cast<char16_t>(row.character + (byte - row.first));
  }
  for (unsigned byte = 0; byte < 256; ++byte)
    if (characters_[byte] != kNone)
      bytes_.emplace_back(characters_[byte], static_cast<unsigned char>(byte));
  std::sort(bytes_.begin(), bytes_.end());
}

std::optional<unsigned char> CharacterMap::byte(std::uint32_t character) const noexcept {
  // If several bytes stand for one character, Python takes the last one.
  const auto next =
      std::upper_bound(bytes_.begin(), bytes_.end(), character,
                       [](std::uint32_t value, const auto& row) { return value < row.first; });
  if (next == bytes_.begin() || std::prev(next)->first != character) return std::nullopt;
  return std::prev(next)->second;
}

Encoding::Encoding(const std::string& given) : name(given) {
  const KnownEncoding* const known = find_known(given);
  iconv_name = known != nullptr ? known->iconv_name : find_iconv_name(given);
  if (known == nullptr) {
    if (iconv_name.empty()) throw ValueError("unknown encoding: " + given);
    if (normalized(given).starts_with("ucs_2") || normalized(given).starts_with("ucs2")) unit = 2;
    if (normalized(given).starts_with("ucs_4") || normalized(given).starts_with("ucs4")) unit = 4;
    return;
  }
  codec = known->codec;
  name = known->name;
  if (codec == Codec::other || codec == Codec::charmap) {
    if (!iconv_knows(iconv_name)) throw ValueError("unknown encoding: " + given);
    pairs = std::ranges::find(kOfPairs, known->name) != std::end(kOfPairs);
    decoded = decoding_deviations(known->name);
    encoded = encoding_deviations(known->name);
    if (codec == Codec::charmap) {
      characters = std::make_shared<const CharacterMap>(known->name, iconv_name);
      name = "charmap";
    }
    return;
  }
  std::replace(name.begin(), name.end(), '_', '-');
  if (codec == Codec::utf16) unit = 2;
  if (codec == Codec::utf32) unit = 4;
  big_endian = name.ends_with("-be");
  marked = name == "utf-16" || name == "utf-32" || name == "utf-8-sig";
}

std::size_t Encoding::least(std::string_view bytes) const noexcept {
  if (!pairs || static_cast<unsigned char>(bytes[0]) < 0x80) return 1;
  if (bytes[0] == '\x8F' && name.starts_with("euc_j")) return 3;
  const bool four = name == "gb18030" && bytes.size() > 1 && bytes[1] >= '0' && bytes[1] <= '9';
  return four ? 4 : 2;
}

}  // namespace plug::detail::stream
