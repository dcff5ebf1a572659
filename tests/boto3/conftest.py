"""What the tests share: a server that is running, clients for it, and streams to use up.

KVS_ENDPOINT is its URL. Where it checks signatures, KVS_ACCESS_KEY and KVS_SECRET_KEY are a key
that may do everything, and KVS_NARROW_ACCESS_KEY one (with the same secret) that may only read
streams whose names begin with `narrow-`.
"""

import os
import uuid

import boto3
import botocore.config
import botocore.credentials
import pytest

import mkv
from put_media import PutMedia

REGION = "us-west-2"
# Any time will do, as long as fragments do not overlap.
START_MS = 1_700_000_000_000


class Service:
    """boto3's clients for the server under test."""

    def __init__(self, endpoint, access_key, secret_key):
        self.endpoint = endpoint
        self.credentials = botocore.credentials.Credentials(access_key, secret_key)
        self.control = self.client("kinesisvideo")

    def client(self, name, endpoint=None, region=REGION, **config):
        return boto3.client(
            name,
            endpoint_url=endpoint or self.endpoint,
            region_name=region,
            aws_access_key_id=self.credentials.access_key,
            aws_secret_access_key=self.credentials.secret_key,
            config=botocore.config.Config(retries={"total_max_attempts": 1}, **config),
        )

    def data_client(self, name, stream, api):
        """A client for the endpoint that the service names, as users get it."""
        return self.client(name, self.endpoint_of(stream, api))

    def endpoint_of(self, stream, api):
        return self.control.get_data_endpoint(StreamName=stream, APIName=api)["DataEndpoint"]

    def put_media(self, stream, **headers):
        endpoint = self.endpoint_of(stream, "PUT_MEDIA")
        headers.setdefault("x_amzn_stream_name", stream)
        return PutMedia(endpoint, self.credentials, REGION, **headers)

    def get_media(self, stream, **selector):
        """The chunks of GetMedia, read to its end."""
        media = self.data_client("kinesis-video-media", stream, "GET_MEDIA")
        answer = media.get_media(StreamName=stream, StartSelector=selector)
        assert answer["ContentType"] == "video/webm"
        return mkv.chunks(answer["Payload"].read())

    def archive(self, stream, api="LIST_FRAGMENTS"):
        return self.data_client("kinesis-video-archived-media", stream, api)


class Recording:
    """A stream with fragments in it, one a second."""

    def __init__(self, service, stream, count):
        self.stream = stream
        self.starts_ms = [START_MS + 1000 * number for number in range(count)]
        self.clusters = [mkv.cluster(start_ms) for start_ms in self.starts_ms]
        upload = service.put_media(stream)
        upload.send(mkv.header() + b"".join(self.clusters) + mkv.end_of_fragment())
        acks = upload.finish()
        self.acks = acks
        self.numbers = [ack["FragmentNumber"] for ack in acks if ack["EventType"] == "RECEIVED"]
        assert len(self.numbers) == count, acks


@pytest.fixture(scope="session")
def service():
    access_key = os.environ.get("KVS_ACCESS_KEY", "anybody")
    secret_key = os.environ.get("KVS_SECRET_KEY", "anything")
    return Service(os.environ["KVS_ENDPOINT"], access_key, secret_key)


@pytest.fixture
def checks_signatures():
    if "KVS_ACCESS_KEY" not in os.environ:
        pytest.skip("this server takes any signature")


@pytest.fixture
def narrow(checks_signatures):
    """The same service for a key that may do little."""
    access_key, secret_key = os.environ["KVS_NARROW_ACCESS_KEY"], os.environ["KVS_SECRET_KEY"]
    return Service(os.environ["KVS_ENDPOINT"], access_key, secret_key)


@pytest.fixture
def new_stream(service):
    """Makes streams whose names are used nowhere else; deletes them afterwards."""
    made = []

    def make(prefix="test-", retention_hours=24, **members):
        name = prefix + uuid.uuid4().hex
        members.setdefault("DataRetentionInHours", retention_hours)
        arn = service.control.create_stream(StreamName=name, **members)["StreamARN"]
        made.append(arn)
        return name

    yield make
    for arn in made:
        try:
            service.control.delete_stream(StreamARN=arn)
        except service.control.exceptions.ResourceNotFoundException:
            pass


@pytest.fixture
def recording(service, new_stream):
    return Recording(service, new_stream(), count=5)
