"""What AWS's quotas refuse, against a server that holds to them (`--aws-quotas`)."""

import pytest

import mkv
from conftest import START_MS
from test_errors import raises

# Far more than any rate lets through while they are made.
CALLS_MAX = 1000

CONTROL = [
    ("describe_stream", {}),
    ("get_data_endpoint", {"APIName": "GET_MEDIA"}),
    ("list_tags_for_stream", {}),
    ("tag_stream", {"Tags": {"site": "home"}}),
    ("describe_image_generation_configuration", {}),
    ("describe_notification_configuration", {}),
    ("describe_stream_storage_configuration", {}),
]


def call_too_often(client, call):
    with raises(client, "ClientLimitExceededException", 400):
        for _ in range(CALLS_MAX):
            call()


@pytest.mark.parametrize("operation, members", CONTROL)
def test_calls_of_a_stream(service, new_stream, operation, members):
    stream = new_stream()
    call = getattr(service.control, operation)
    call_too_often(service.control, lambda: call(StreamName=stream, **members))
    call(StreamName=new_stream(), **members)


def test_calls_of_an_account(service):
    call_too_often(service.control, service.control.list_streams)


def test_calls_of_get_media(service, new_stream):
    stream = new_stream()
    media = service.client("kinesis-video-media")
    start = {"StartSelectorType": "EARLIEST"}
    call_too_often(
        media,
        lambda: media.get_media(StreamName=stream, StartSelector=start)["Payload"].close(),
    )


def test_readers_of_a_stream(service, new_stream):
    """A response that nobody reads stays open: the fragment is more than the sockets take."""
    stream = new_stream()
    upload = service.put_media(stream)
    large = mkv.cluster(START_MS, size=8_000_000)
    upload.send(mkv.header() + large + mkv.end_of_fragment())
    upload.ack_of("PERSISTED")
    upload.finish()
    media = service.client("kinesis-video-media")
    start = {"StartSelectorType": "EARLIEST"}
    readers = []
    with raises(media, "ConnectionLimitExceededException", 400):
        while len(readers) < 4:
            answer = media.get_media(StreamName=stream, StartSelector=start)
            readers.append(answer["Payload"])
    assert len(readers) == 3
    for reader in readers:
        reader.close()
