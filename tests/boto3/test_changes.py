"""What of a stream can be changed: its device and media type, its retention, its tags."""

import pytest

from test_errors import absent_arn, raises
from test_streams import describe

INCREASE, DECREASE = "INCREASE_DATA_RETENTION", "DECREASE_DATA_RETENTION"


def retention(operation=INCREASE, hours=1):
    return {"Operation": operation, "DataRetentionChangeInHours": hours}


def test_what_is_not_given_stays(service, new_stream):
    name = new_stream(DeviceName="camera", MediaType="video/h264")
    before = describe(service, StreamName=name)
    service.control.update_stream(
        StreamName=name, CurrentVersion=before["Version"], MediaType="video/h265"
    )
    after = describe(service, StreamName=name)
    assert after["Version"] != before["Version"]
    assert after == before | {"MediaType": "video/h265", "Version": after["Version"]}


def test_retention_is_made_longer_and_shorter(service, new_stream):
    name = new_stream(retention_hours=24)
    for change, hours in [(retention(INCREASE, 24), 48), (retention(DECREASE, 47), 1)]:
        version = describe(service, StreamName=name)["Version"]
        service.control.update_data_retention(StreamName=name, CurrentVersion=version, **change)
        assert describe(service, StreamName=name)["DataRetentionInHours"] == hours


def list_tags(service, name):
    return service.control.list_tags_for_stream(StreamName=name)["Tags"]


def test_tags_of_a_stream(service, new_stream):
    name = new_stream(Tags={"site": "Straße 1"})
    service.control.tag_stream(StreamName=name, Tags={"floor": "1", "site": "home"})
    assert list_tags(service, name) == {"site": "home", "floor": "1"}
    service.control.untag_stream(StreamName=name, TagKeyList=["site", "never there"])
    assert list_tags(service, name) == {"floor": "1"}


def test_tags_of_a_resource_are_the_same(service, new_stream):
    name = new_stream(Tags={"site": "home"})
    arn = describe(service, StreamName=name)["StreamARN"]
    service.control.tag_resource(ResourceARN=arn, Tags=[{"Key": "floor", "Value": "1"}])
    assert list_tags(service, name) == {"site": "home", "floor": "1"}
    service.control.untag_resource(ResourceARN=arn, TagKeyList=["site"])
    assert service.control.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"floor": "1"}


CHANGES = [
    ("update_stream", "StreamARN", {"CurrentVersion": "another", "DeviceName": "camera"}),
    ("update_data_retention", "StreamARN", {"CurrentVersion": "another"} | retention()),
    ("tag_stream", "StreamARN", {"Tags": {"key": ""}}),
    ("untag_stream", "StreamARN", {"TagKeyList": ["key"]}),
    ("list_tags_for_stream", "StreamARN", {}),
    ("tag_resource", "ResourceARN", {"Tags": [{"Key": "key", "Value": ""}]}),
    ("untag_resource", "ResourceARN", {"TagKeyList": ["key"]}),
    ("list_tags_for_resource", "ResourceARN", {}),
]


@pytest.mark.parametrize("operation, member, members", CHANGES)
def test_resource_not_found(service, new_stream, operation, member, members):
    members = members | {member: absent_arn(service, new_stream)}
    with raises(service.control, "ResourceNotFoundException", 404):
        getattr(service.control, operation)(**members)


@pytest.mark.parametrize("operation, member, members", CHANGES)
def test_not_authorized(service, narrow, new_stream, operation, member, members):
    arn = describe(service, StreamName=new_stream())["StreamARN"]
    is_resource = member == "ResourceARN"
    name = "AccessDeniedException" if is_resource else "NotAuthorizedException"
    with raises(narrow.control, name, 401):
        getattr(narrow.control, operation)(**members | {member: arn})


@pytest.mark.parametrize("operation, member, members", CHANGES[:2])
def test_version_mismatch(service, new_stream, operation, member, members):
    with raises(service.control, "VersionMismatchException", 400):
        getattr(service.control, operation)(StreamName=new_stream(), **members)


INVALID = [
    ("update_stream", {"MediaType": "video"}),
    ("update_data_retention", retention(DECREASE, 25)),
    ("update_data_retention", retention(INCREASE, 87_600)),
    ("update_data_retention", retention("DOUBLE_DATA_RETENTION")),
]


@pytest.mark.parametrize("operation, members", INVALID)
def test_invalid_argument(service, new_stream, operation, members):
    name = new_stream(retention_hours=24)
    version = describe(service, StreamName=name)["Version"]
    with raises(service.control, "InvalidArgumentException", 400):
        getattr(service.control, operation)(StreamName=name, CurrentVersion=version, **members)


@pytest.mark.parametrize("operation, member, members", CHANGES[2:5])
def test_invalid_resource_format(service, operation, member, members):
    with raises(service.control, "InvalidResourceFormatException", 400):
        getattr(service.control, operation)(StreamARN="no-arn", **members)


@pytest.mark.parametrize("operation, member, members", CHANGES[5:])
def test_invalid_resource(service, operation, member, members):
    with raises(service.control, "InvalidArgumentException", 400):
        getattr(service.control, operation)(ResourceARN="no-arn", **members)


def test_a_key_is_tagged_twice(service, new_stream):
    arn = describe(service, StreamName=new_stream())["StreamARN"]
    tags = [{"Key": "key", "Value": value} for value in ("a", "b")]
    with raises(service.control, "InvalidArgumentException", 400):
        service.control.tag_resource(ResourceARN=arn, Tags=tags)


def test_too_many_tags(service, new_stream):
    name = new_stream(Tags={f"key-{number}": "" for number in range(50)})
    arn = describe(service, StreamName=name)["StreamARN"]
    with raises(service.control, "TagsPerResourceExceededLimitException", 400):
        service.control.tag_stream(StreamName=name, Tags={"another": ""})
    with raises(service.control, "TagsPerResourceExceededLimitException", 400):
        service.control.tag_resource(ResourceARN=arn, Tags=[{"Key": "another", "Value": ""}])
