"""PutMedia, which boto3 does not have: http.client and botocore's own signature."""

import http.client
import json
import os
import ssl
import urllib.parse

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest


class Refused(Exception):
    """The server answered with an error before any media."""

    def __init__(self, status, name, message):
        super().__init__(f"{status} {name}: {message}")
        self.status, self.name, self.message = status, name, message


def connection(location):
    """To a server of boto3's choice, with the authorities that boto3 trusts."""
    if location.scheme == "http":
        return http.client.HTTPConnection(location.hostname, location.port, timeout=10)
    context = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
    return http.client.HTTPSConnection(
        location.hostname, location.port, timeout=10, context=context
    )


class PutMedia:
    """An upload: the body goes out while acknowledgements come in."""

    def __init__(self, endpoint, credentials, region, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers.setdefault("x-amzn-fragment-timecode-type", "ABSOLUTE")
        headers = {name: value for name, value in headers.items() if value is not None}
        request = AWSRequest("POST", endpoint + "/putMedia", headers=headers, data=b"")
        SigV4Auth(credentials, "kinesisvideo", region).add_auth(request)
        location = urllib.parse.urlsplit(endpoint)
        self._connection = connection(location)
        self._connection.putrequest("POST", "/putMedia")
        for name, value in request.headers.items():
            self._connection.putheader(name, value)
        self._connection.putheader("Transfer-Encoding", "chunked")
        self._connection.endheaders()
        self._socket = self._connection.sock
        self._response = self._connection.getresponse()
        if self._response.status != 200:
            self._refuse()

    def _refuse(self):
        body = json.loads(self._response.read() or b"{}")
        name = self._response.headers["x-amzn-ErrorType"]
        message = body.get("Message") or body.get("message")
        self._connection.close()
        raise Refused(self._response.status, name, message)

    def send(self, data):
        self._socket.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def ack(self):
        """The next acknowledgement; None when there are no more."""
        line = self._response.readline()
        return json.loads(line) if line.strip() else None

    def ack_of(self, event):
        """Waits for an acknowledgement of that type."""
        while (ack := self.ack()) is not None:
            if ack["EventType"] == event:
                return ack
        raise AssertionError(f"the answer ended without {event}")

    def finish(self):
        """Ends the body and gives the acknowledgements that are left."""
        self._socket.sendall(b"0\r\n\r\n")
        acks = list(iter(self.ack, None))
        self._connection.close()
        return acks
