"""Each exception that the operations which change a stream declare, by its real cause.

ResourceInUseException is not here: a change is done when it is answered, so that no stream is ever
found in the middle of one.
"""

import pytest

from test_changes import CONFIGURATIONS, IMAGES, NOTIFICATION
from test_errors import absent_arn, raises

GROW = {"Operation": "INCREASE_DATA_RETENTION", "DataRetentionChangeInHours": 1}
SHRINK = {"Operation": "DECREASE_DATA_RETENTION", "DataRetentionChangeInHours": 25}
TIER = {"StreamStorageConfiguration": {"DefaultStorageTier": "WARM"}}
VERSION = {"CurrentVersion": "another"}
PAIR = [{"Key": "a", "Value": ""}]

BY_STREAM = [
    ("update_stream", VERSION),
    ("update_data_retention", VERSION | GROW),
    ("tag_stream", {"Tags": {"a": ""}}),
    ("untag_stream", {"TagKeyList": ["a"]}),
    ("list_tags_for_stream", {}),
]
CONFIGURING = [
    ("describe_image_generation_configuration", {}),
    ("update_image_generation_configuration", {"ImageGenerationConfiguration": IMAGES}),
    ("describe_notification_configuration", {}),
    ("update_notification_configuration", {"NotificationConfiguration": NOTIFICATION}),
    ("describe_stream_storage_configuration", {}),
    ("update_stream_storage_configuration", VERSION | TIER),
]
BY_RESOURCE = [
    ("tag_resource", {"Tags": PAIR}),
    ("untag_resource", {"TagKeyList": ["a"]}),
    ("list_tags_for_resource", {}),
]


@pytest.mark.parametrize("operation, members", BY_STREAM + CONFIGURING)
def test_not_found(service, new_stream, operation, members):
    arn = absent_arn(service, new_stream)
    call = getattr(service.control, operation)
    for stream in [{"StreamARN": arn}, {"StreamName": "no-such-stream"}]:
        with raises(service.control, "ResourceNotFoundException", 404):
            call(**stream, **members)


@pytest.mark.parametrize("operation, members", BY_RESOURCE)
def test_resource_not_found(service, new_stream, operation, members):
    arn = absent_arn(service, new_stream)
    for arn in [arn, arn.replace(":stream/", ":channel/")]:
        with raises(service.control, "ResourceNotFoundException", 404):
            getattr(service.control, operation)(ResourceARN=arn, **members)


@pytest.mark.parametrize("operation, members", BY_STREAM)
def test_not_authorized(narrow, new_stream, operation, members):
    with raises(narrow.control, "NotAuthorizedException", 401):
        getattr(narrow.control, operation)(StreamName=new_stream(), **members)


@pytest.mark.parametrize("operation, members", CONFIGURING)
def test_access_denied(narrow, new_stream, operation, members):
    with raises(narrow.control, "AccessDeniedException", 401):
        getattr(narrow.control, operation)(StreamName=new_stream(), **members)


@pytest.mark.parametrize("operation, members", BY_RESOURCE)
def test_resource_access_denied(service, narrow, new_stream, operation, members):
    info = service.control.describe_stream(StreamName=new_stream())["StreamInfo"]
    with raises(narrow.control, "AccessDeniedException", 401):
        getattr(narrow.control, operation)(ResourceARN=info["StreamARN"], **members)


VERSIONED = [
    ("update_stream", {}),
    ("update_data_retention", GROW),
    ("update_stream_storage_configuration", TIER),
]


@pytest.mark.parametrize("operation, members", VERSIONED)
def test_version_mismatch(service, new_stream, operation, members):
    with raises(service.control, "VersionMismatchException", 400):
        getattr(service.control, operation)(StreamName=new_stream(), **VERSION, **members)


@pytest.mark.parametrize("operation, member, configuration", CONFIGURATIONS)
def test_no_data_retention(service, new_stream, operation, member, configuration):
    update = getattr(service.control, "update_" + operation)
    with raises(service.control, "NoDataRetentionException", 400):
        update(StreamName=new_stream(retention_hours=0), **{member: configuration})


@pytest.mark.parametrize("operation, members", BY_STREAM[2:])
def test_invalid_resource_format(service, operation, members):
    with raises(service.control, "InvalidResourceFormatException", 400):
        getattr(service.control, operation)(StreamARN="no-arn", **members)


def test_too_many_tags(service, new_stream):
    name = new_stream(Tags={f"key-{number}": "" for number in range(50)})
    with raises(service.control, "TagsPerResourceExceededLimitException", 400):
        service.control.tag_stream(StreamName=name, Tags={"one-more": ""})
    arn = service.control.describe_stream(StreamName=name)["StreamInfo"]["StreamARN"]
    with raises(service.control, "TagsPerResourceExceededLimitException", 400):
        service.control.tag_resource(ResourceARN=arn, Tags=[{"Key": "one-more", "Value": ""}])


def images(**members):
    return ("update_image_generation_configuration",
            {"ImageGenerationConfiguration": IMAGES | members})


INVALID = [
    ("update_stream", VERSION | {"MediaType": "video"}),
    ("update_stream", VERSION | {"DeviceName": "a b"}),
    ("update_stream", {"CurrentVersion": "?"}),
    ("update_data_retention", VERSION | GROW | {"Operation": "DOUBLE"}),
    ("tag_stream", {"Tags": {}}),
    ("tag_stream", {"Tags": {"aws:a": ""}}),
    ("tag_stream", {"Tags": {"a": "v" * 257}}),
    ("tag_stream", {"Tags": {"k" * 129: ""}}),
    ("untag_stream", {"TagKeyList": ["?"]}),
    ("untag_stream", {"TagKeyList": ["a"] * 51}),
    ("list_tags_for_stream", {"NextToken": "abcd"}),
    images(Status="ON"),
    images(ImageSelectorType="NOW"),
    images(SamplingInterval=199),
    images(Format="GIF"),
    images(FormatConfig={"JPEGQuality": "101"}),
    images(FormatConfig={"Colour": "1"}),
    images(WidthPixels=3841),
    images(HeightPixels=2161),
    images(DestinationConfig={"Uri": "bucket", "DestinationRegion": "us-west-2"}),
    images(DestinationConfig={"Uri": "s3://bucket", "DestinationRegion": "somewhere"}),
    ("update_notification_configuration",
     {"NotificationConfiguration": NOTIFICATION | {"Status": "ON"}}),
    ("update_stream_storage_configuration",
     VERSION | {"StreamStorageConfiguration": {"DefaultStorageTier": "COLD"}}),
]


@pytest.mark.parametrize("operation, members", INVALID)
def test_invalid_argument(service, new_stream, operation, members):
    name = new_stream()
    with raises(service.control, "InvalidArgumentException", 400):
        getattr(service.control, operation)(StreamName=name, **members)


@pytest.mark.parametrize("change", [SHRINK, GROW | {"DataRetentionChangeInHours": 87_577}])
def test_retention_out_of_bounds(service, new_stream, change):
    info = service.control.describe_stream(StreamName=new_stream())["StreamInfo"]
    with raises(service.control, "InvalidArgumentException", 400):
        service.control.update_data_retention(
            StreamName=info["StreamName"], CurrentVersion=info["Version"], **change
        )


@pytest.mark.parametrize("operation, members", BY_RESOURCE)
def test_an_arn_that_is_none(service, operation, members):
    with raises(service.control, "InvalidArgumentException", 400):
        getattr(service.control, operation)(ResourceARN="no-arn", **members)
