"""The base class of the tests of the mail server."""

import pathlib
import tempfile

import harness
from harness import Server


class MailCase(harness.TestCase):
    """A test with a directory for messages."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.inbox = self.folder / "inbox"
        self.inbox.mkdir()

    def server(self, *options, host="127.0.0.1", **popen):
        return Server("mail_server", host, 0, self.inbox, *options, **popen)

    def messages(self):
        """Returns the messages in the directory, without the headers that the server has added."""
        found = []
        for path in sorted(self.inbox.iterdir()):
            self.assertTrue(path.name.endswith(".eml"), path)
            head, by, received = path.read_bytes().partition(b" by ")
            self.assertTrue(head.startswith(b"Return-Path: <"), head)
            found.append(received.split(b"\r\n", 2)[2])
        return found
