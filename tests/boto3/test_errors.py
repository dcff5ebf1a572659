"""Each exception that the operations declare, by its real cause; where there is none, the reason."""


import contextlib
import datetime
import pathlib
from unittest import mock

import botocore
import pytest
from botocore.exceptions import ClientError

import mkv
from conftest import START_MS
from put_media import Refused

NOT_HERE = {
    "AccountStreamLimitExceededException": "it takes 10,000 streams, and is in "
    "crates/kvs-server/tests/server/quotas.rs",
    "DeviceStreamLimitExceededException": "devices are stored without effect",
    "InvalidDeviceException": "likewise; a name that is none is an InvalidArgumentException",
    "InvalidEndpointException": "one server is the endpoint of every stream and every API",
}
NOT_FOR_STREAMS = ("Signaling", "Edge", "MappedResource", "MediaStorage")

NO_NUMBER = "9" * 47
RANGE = {"StartTimestamp": START_MS / 1000, "EndTimestamp": START_MS / 1000 + 60}
SELECTOR = {"FragmentSelectorType": "PRODUCER_TIMESTAMP", "TimestampRange": RANGE}


def absent_arn(service, new_stream):
    """An ARN with another creation time than that of the living stream."""
    info = service.control.describe_stream(StreamName=new_stream())["StreamInfo"]
    return info["StreamARN"] + "0"


@contextlib.contextmanager
def raises(client, name, status):
    """Expects that exception, as the class that boto3 has for it."""
    with pytest.raises(getattr(client.exceptions, name)) as raised:
        yield
    response = raised.value.response
    assert response["Error"]["Code"] == name
    assert response["Error"]["Message"]
    assert response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert response["ResponseMetadata"]["RequestId"]


def test_resource_in_use(service, new_stream):
    with raises(service.control, "ResourceInUseException", 400):
        service.control.create_stream(StreamName=new_stream())


def test_tags_per_resource_exceeded_limit(service):
    tags = {f"key-{number}": "" for number in range(51)}
    with raises(service.control, "TagsPerResourceExceededLimitException", 400):
        service.control.create_stream(StreamName="too-many-tags", Tags=tags)


def test_version_mismatch(service, new_stream):
    info = service.control.describe_stream(StreamName=new_stream())["StreamInfo"]
    with raises(service.control, "VersionMismatchException", 400):
        service.control.delete_stream(StreamARN=info["StreamARN"], CurrentVersion="another")


CONTROL_NOT_FOUND = [
    ("describe_stream", {}),
    ("get_data_endpoint", {"APIName": "GET_MEDIA"}),
    ("delete_stream", {}),
]


@pytest.mark.parametrize("operation, members", CONTROL_NOT_FOUND)
def test_control_resource_not_found(service, new_stream, operation, members):
    arn = absent_arn(service, new_stream)
    with raises(service.control, "ResourceNotFoundException", 404):
        getattr(service.control, operation)(StreamARN=arn, **members)


DATA_NOT_FOUND = [
    ("kinesis-video-media", "get_media", {"StartSelector": {"StartSelectorType": "NOW"}}),
    ("kinesis-video-archived-media", "list_fragments", {"FragmentSelector": SELECTOR}),
    ("kinesis-video-archived-media", "get_media_for_fragment_list", {"Fragments": [NO_NUMBER]}),
]


@pytest.mark.parametrize("client, operation, members", DATA_NOT_FOUND)
def test_data_resource_not_found(service, client, operation, members):
    client = service.client(client)
    with raises(client, "ResourceNotFoundException", 404):
        getattr(client, operation)(StreamName="no-such-stream", **members)


CONTROL_INVALID = [
    ("create_stream", {"StreamName": "a b"}),
    ("create_stream", {"StreamName": "a", "MediaType": "video"}),
    ("create_stream", {"StreamName": "a", "DeviceName": "a b"}),
    ("create_stream", {"StreamName": "a", "DataRetentionInHours": 87_601}),
    ("create_stream", {"StreamName": "a", "Tags": {"aws:key": ""}}),
    ("describe_stream", {}),
    ("describe_stream", {"StreamName": "a/b"}),
    ("describe_stream", {"StreamARN": "no:arn"}),
    ("get_data_endpoint", {"StreamName": "a", "APIName": "PUT_COFFEE"}),
    ("get_data_endpoint", {"APIName": "GET_MEDIA"}),
    ("delete_stream", {"StreamARN": "no-arn"}),
    ("list_streams", {"MaxResults": 10_001}),
    ("list_streams", {"NextToken": "?"}),
    ("list_streams", {"StreamNameCondition": {"ComparisonOperator": "ENDS_WITH"}}),
]


@pytest.mark.parametrize("operation, members", CONTROL_INVALID)
def test_control_invalid_argument(service, operation, members):
    with raises(service.control, "InvalidArgumentException", 400):
        getattr(service.control, operation)(**members)


def test_a_token_of_another_list_is_invalid(service, new_stream):
    prefix = new_stream("token-")
    new_stream(prefix)
    condition = {"ComparisonOperator": "BEGINS_WITH", "ComparisonValue": prefix}
    page = service.control.list_streams(StreamNameCondition=condition, MaxResults=1)
    with raises(service.control, "InvalidArgumentException", 400):
        service.control.list_streams(NextToken=page["NextToken"])


START_SELECTORS = [
    {"StartSelectorType": "LATEST"},
    {"StartSelectorType": "FRAGMENT_NUMBER"},
    {"StartSelectorType": "FRAGMENT_NUMBER", "AfterFragmentNumber": "x"},
    {"StartSelectorType": "CONTINUATION_TOKEN"},
    {"StartSelectorType": "CONTINUATION_TOKEN", "ContinuationToken": "x"},
    {"StartSelectorType": "SERVER_TIMESTAMP"},
    {"StartSelectorType": "PRODUCER_TIMESTAMP"},
]


@pytest.mark.parametrize("selector", START_SELECTORS)
def test_get_media_invalid_argument(service, new_stream, selector):
    media = service.client("kinesis-video-media")
    with raises(media, "InvalidArgumentException", 400):
        media.get_media(StreamName=new_stream(), StartSelector=selector)


BACKWARDS = {"StartTimestamp": 2, "EndTimestamp": 1}
ARCHIVE_INVALID = [
    ("list_fragments", {}),
    ("list_fragments", {"FragmentSelector": SELECTOR, "MaxResults": 1001}),
    ("list_fragments", {"FragmentSelector": SELECTOR | {"TimestampRange": BACKWARDS}}),
    ("list_fragments", {"FragmentSelector": SELECTOR | {"FragmentSelectorType": "TIME"}}),
    ("list_fragments", {"NextToken": "abc="}),
    ("get_media_for_fragment_list", {"Fragments": ["x"]}),
    ("get_media_for_fragment_list", {"Fragments": [NO_NUMBER]}),
    ("get_media_for_fragment_list", {"Fragments": [NO_NUMBER] * 1001}),
]


@pytest.mark.parametrize("operation, members", ARCHIVE_INVALID)
def test_archive_invalid_argument(service, new_stream, operation, members):
    archive = service.client("kinesis-video-archived-media")
    with raises(archive, "InvalidArgumentException", 400):
        getattr(archive, operation)(StreamName=new_stream(), **members)


@pytest.mark.parametrize("operation, members", CONTROL_NOT_FOUND)
def test_control_not_authorized(service, narrow, new_stream, operation, members):
    info = service.control.describe_stream(StreamName=new_stream())["StreamInfo"]
    with raises(narrow.control, "NotAuthorizedException", 401):
        getattr(narrow.control, operation)(StreamARN=info["StreamARN"], **members)


@pytest.mark.parametrize("client, operation, members", DATA_NOT_FOUND)
def test_data_not_authorized(narrow, new_stream, client, operation, members):
    client = narrow.client(client)
    with raises(client, "NotAuthorizedException", 401):
        getattr(client, operation)(StreamName=new_stream(), **members)


def test_put_media_not_authorized(narrow, new_stream):
    with pytest.raises(Refused) as refused:
        narrow.put_media(new_stream("narrow-"))
    assert (refused.value.status, refused.value.name) == (401, "NotAuthorizedException")


PUT_MEDIA_REFUSED = [
    ({"x_amzn_stream_name": "no-such-stream"}, 404, "ResourceNotFoundException"),
    ({"x_amzn_stream_name": None}, 400, "InvalidArgumentException"),
    ({"x_amzn_stream_arn": "no-arn"}, 400, "InvalidArgumentException"),
    ({"x_amzn_fragment_timecode_type": "WRONG"}, 400, "InvalidArgumentException"),
    ({"x_amzn_fragment_timecode_type": "RELATIVE"}, 400, "InvalidArgumentException"),
]


@pytest.mark.parametrize("headers, status, name", PUT_MEDIA_REFUSED)
def test_put_media_refused(service, new_stream, headers, status, name):
    with pytest.raises(Refused) as refused:
        service.put_media(new_stream(), **headers)
    assert (refused.value.status, refused.value.name) == (status, name)


def test_put_media_connection_limit(service, new_stream):
    """Two may overlap, for the time of a rotation."""
    stream = new_stream()
    uploads = [service.put_media(stream) for _ in range(2)]
    with pytest.raises(Refused) as refused:
        service.put_media(stream)
    error = refused.value
    assert (error.status, error.name) == (400, "ConnectionLimitExceededException")
    for upload in uploads:
        upload.finish()


CLUSTER = mkv.cluster(START_MS)
TOO_LONG = mkv.cluster(START_MS, frames=3, step_ms=10_001)
OVERLAP = mkv.cluster(START_MS + 100)
ACK_ERRORS = {
    "INVALID_MKV_DATA": (4006, b"no Matroska"),
    "INVALID_MKV_DATA second header": (4006, mkv.header() + CLUSTER + mkv.header()),
    "FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS": (4004, mkv.header() + CLUSTER + OVERLAP),
    "MAX_FRAGMENT_DURATION_REACHED": (4002, mkv.header() + TOO_LONG),
    "TRACK_NUMBER_MISMATCH": (4010, mkv.header() + mkv.cluster(START_MS, track=2)),
    "FRAMES_MISSING_FOR_TRACK": (4011, mkv.header(tracks=2) + CLUSTER + mkv.end_of_fragment()),
    "MORE_THAN_ALLOWED_TRACKS_FOUND": (4012, mkv.header(tracks=4) + CLUSTER),
    "FRAGMENT_METADATA_LIMIT_REACHED": (
        4009,
        mkv.header() + CLUSTER + mkv.tags(*[("tag", "")] * 11),
    ),
    "INVALID_FRAGMENT_METADATA": (4012, mkv.header() + CLUSTER + mkv.tags(("AWS_MINE", ""))),
}


@pytest.mark.parametrize("case", ACK_ERRORS)
def test_put_media_error_ack(service, new_stream, case):
    error_id, body = ACK_ERRORS[case]
    upload = service.put_media(new_stream())
    upload.send(body)
    error = upload.ack_of("ERROR")
    assert (error["ErrorCode"], error["ErrorId"]) == (case.split()[0], error_id)
    assert upload.ack() is None, "the server ends the answer"


def signature_error(client, call=lambda client: client.list_streams()):
    with pytest.raises(ClientError) as error:
        call(client)
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def change_header(client, name, change):
    """Changes a header after boto3 has signed the request."""

    def before_send(request, **_):
        value = request.headers[name]
        request.headers[name] = change(value.decode() if isinstance(value, bytes) else value)

    client.meta.events.register("before-send.kinesisvideo", before_send)
    return client


def test_a_wrong_secret(service, checks_signatures):
    wrong = type(service)(service.endpoint, service.credentials.access_key, "wrong")
    assert signature_error(wrong.control) == (403, "InvalidSignatureException")


def test_an_unknown_access_key(service, checks_signatures):
    unknown = type(service)(service.endpoint, "AKIDUNKNOWN", service.credentials.secret_key)
    assert signature_error(unknown.control) == (403, "UnrecognizedClientException")


def test_no_signature(service, checks_signatures):
    client = service.client("kinesisvideo", signature_version=botocore.UNSIGNED)
    assert signature_error(client) == (403, "MissingAuthenticationToken")


def test_a_malformed_signature(service, checks_signatures):
    client = service.client("kinesisvideo")
    change_header(client, "Authorization", lambda value: value.replace("Signature=", "S="))
    assert signature_error(client) == (400, "IncompleteSignature")


def test_another_region(service, checks_signatures):
    client = service.client("kinesisvideo", region="eu-west-1")
    assert signature_error(client) == (403, "InvalidSignatureException")


def test_an_old_signature(service, checks_signatures):
    """Signed with the right key, by a clock that is an hour slow."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    slow = now - datetime.timedelta(hours=1)
    with mock.patch("botocore.auth.get_current_datetime", return_value=slow):
        assert signature_error(service.client("kinesisvideo")) == (400, "RequestExpired")


def test_a_changed_body(service, checks_signatures):
    client = service.client("kinesisvideo")

    def before_send(request, **_):
        request.body = request.body.replace(b"1", b"2")

    client.meta.events.register("before-send.kinesisvideo", before_send)
    call = lambda client: client.list_streams(MaxResults=1)
    assert signature_error(client, call) == (403, "InvalidSignatureException")


def declared(client, operations):
    """The exceptions of these operations, as their models have them."""
    model = client.meta.service_model
    return {error.name for name in operations for error in model.operation_model(name).error_shapes}


def test_every_exception_is_tested_or_cannot_be(service):
    control = service.control
    names = control.meta.service_model.operation_names
    of_streams = [name for name in names if not any(word in name for word in NOT_FOR_STREAMS)]
    assert len(of_streams) == 19
    wanted = declared(control, of_streams)
    wanted |= declared(service.client("kinesis-video-media"), ["GetMedia"])
    archive = service.client("kinesis-video-archived-media")
    wanted |= declared(archive, ["ListFragments", "GetMediaForFragmentList"])
    tests = pathlib.Path(__file__).parent.rglob("test_*.py")
    words = "".join(path.read_text() for path in tests if ".venv" not in path.parts)
    untested = {name for name in wanted if f'"{name}", ' not in words and f'"{name}")' not in words}
    assert untested == set(NOT_HERE)
