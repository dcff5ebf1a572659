"""Streams that change: metadata, retention, tags, configurations."""

import pytest

IMAGES = {
    "Status": "ENABLED",
    "ImageSelectorType": "SERVER_TIMESTAMP",
    "DestinationConfig": {"Uri": "s3://bucket/cam", "DestinationRegion": "us-west-2"},
    "SamplingInterval": 200,
    "Format": "JPEG",
    "FormatConfig": {"JPEGQuality": "80"},
    "WidthPixels": 3840,
    "HeightPixels": 2160,
}
TOPIC = "arn:aws:sns:us-west-2:000000000000:topic"
NOTIFICATION = {"Status": "DISABLED", "DestinationConfig": {"Uri": TOPIC}}


def describe(service, name):
    return service.control.describe_stream(StreamName=name)["StreamInfo"]


def test_an_update_changes_what_it_names(service, new_stream):
    name = new_stream(DeviceName="camera")
    before = describe(service, name)
    service.control.update_stream(
        StreamName=name, CurrentVersion=before["Version"], MediaType="video/h264"
    )
    after = describe(service, name)
    assert (after["DeviceName"], after["MediaType"]) == ("camera", "video/h264")
    assert after["Version"] != before["Version"]
    assert after["StreamARN"] == before["StreamARN"]
    assert after["CreationTime"] == before["CreationTime"]


def test_retention_grows_and_shrinks(service, new_stream):
    name = new_stream(retention_hours=24)
    for operation, hours, after in [
        ("INCREASE_DATA_RETENTION", 48, 72),
        ("DECREASE_DATA_RETENTION", 71, 1),
        ("INCREASE_DATA_RETENTION", 87_599, 87_600),
        ("DECREASE_DATA_RETENTION", 87_600, 0),
    ]:
        before = describe(service, name)
        service.control.update_data_retention(
            StreamARN=before["StreamARN"],
            CurrentVersion=before["Version"],
            Operation=operation,
            DataRetentionChangeInHours=hours,
        )
        info = describe(service, name)
        assert info["DataRetentionInHours"] == after
        assert info["Version"] != before["Version"]


def test_tags_of_a_stream(service, new_stream):
    name = new_stream(Tags={"site": "Straße 1"})
    before = describe(service, name)
    control = service.control
    control.tag_stream(StreamName=name, Tags={"room": "", "floor": "1"})
    control.tag_stream(StreamName=name, Tags={"floor": "2"})
    listed = control.list_tags_for_stream(StreamName=name)
    assert listed["Tags"] == {"site": "Straße 1", "room": "", "floor": "2"}
    assert listed.get("NextToken") is None
    control.untag_stream(StreamARN=before["StreamARN"], TagKeyList=["room", "absent"])
    listed = control.list_tags_for_stream(StreamARN=before["StreamARN"])
    assert listed["Tags"] == {"site": "Straße 1", "floor": "2"}
    assert describe(service, name) == before


def test_tags_of_a_resource(service, new_stream):
    name = new_stream()
    arn = describe(service, name)["StreamARN"]
    control = service.control
    control.tag_resource(ResourceARN=arn, Tags=[{"Key": "a", "Value": "1"}])
    control.tag_resource(ResourceARN=arn, Tags=[{"Key": "b", "Value": ""}])
    assert control.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"a": "1", "b": ""}
    control.untag_resource(ResourceARN=arn, TagKeyList=["a"])
    assert control.list_tags_for_stream(StreamName=name)["Tags"] == {"b": ""}


CONFIGURATIONS = [
    ("image_generation_configuration", "ImageGenerationConfiguration", IMAGES),
    ("notification_configuration", "NotificationConfiguration", NOTIFICATION),
]


@pytest.mark.parametrize("operation, member, configuration", CONFIGURATIONS)
def test_a_configuration(service, new_stream, operation, member, configuration):
    name = new_stream()
    update = getattr(service.control, "update_" + operation)
    show = getattr(service.control, "describe_" + operation)
    assert show(StreamName=name).get(member) is None
    update(StreamName=name, **{member: configuration})
    assert show(StreamName=name)[member] == configuration
    update(StreamName=name)
    assert show(StreamName=name).get(member) is None


def test_the_storage_tier(service, new_stream):
    def tier(name):
        shown = service.control.describe_stream_storage_configuration(StreamName=name)
        assert shown["StreamName"] == name
        assert shown["StreamARN"] == describe(service, name)["StreamARN"]
        return shown["StreamStorageConfiguration"]["DefaultStorageTier"]

    assert tier(new_stream()) == "HOT"
    name = new_stream(StreamStorageConfiguration={"DefaultStorageTier": "WARM"})
    assert tier(name) == "WARM"
    service.control.update_stream_storage_configuration(
        StreamName=name,
        CurrentVersion=describe(service, name)["Version"],
        StreamStorageConfiguration={"DefaultStorageTier": "HOT"},
    )
    assert tier(name) == "HOT"
