"""Streams: create, describe, list, find the endpoint, delete."""

import datetime

import pytest

APIS = [
    "PUT_MEDIA",
    "GET_MEDIA",
    "LIST_FRAGMENTS",
    "GET_MEDIA_FOR_FRAGMENT_LIST",
]


def describe(service, **stream):
    return service.control.describe_stream(**stream)["StreamInfo"]


def test_a_new_stream_is_as_it_was_asked_for(service, new_stream):
    name = new_stream(
        DeviceName="camera",
        MediaType="video/h264,audio/aac",
        DataRetentionInHours=48,
        Tags={"site": "Straße 1"},
    )
    info = describe(service, StreamName=name)
    assert info["StreamName"] == name
    assert info["DeviceName"] == "camera"
    assert info["MediaType"] == "video/h264,audio/aac"
    assert info["DataRetentionInHours"] == 48
    assert info["Status"] == "ACTIVE"
    assert info["Version"]
    assert info["KmsKeyId"]
    age = datetime.datetime.now(datetime.timezone.utc) - info["CreationTime"]
    assert datetime.timedelta(seconds=-1) < age < datetime.timedelta(minutes=1)
    created_ms = round(info["CreationTime"].timestamp() * 1000)
    assert info["StreamARN"].endswith(f":stream/{name}/{created_ms}")


def test_name_and_arn_are_the_same_stream(service, new_stream):
    name = new_stream()
    info = describe(service, StreamName=name)
    assert describe(service, StreamARN=info["StreamARN"]) == info
    assert describe(service, StreamName=name, StreamARN=info["StreamARN"]) == info


def test_what_was_not_asked_for_is_not_there(service, new_stream):
    info = describe(service, StreamName=new_stream(retention_hours=0))
    assert info["DataRetentionInHours"] == 0
    assert info.get("DeviceName") is None


def test_a_list_has_all_streams_of_a_prefix_over_all_its_pages(service, new_stream):
    prefix = new_stream("list-")  # a name that no other run has
    names = sorted([prefix] + [new_stream(prefix + "-") for _ in range(4)])
    new_stream("listed-")
    condition = {"ComparisonOperator": "BEGINS_WITH", "ComparisonValue": prefix}
    pages = list(
        service.control.get_paginator("list_streams").paginate(
            StreamNameCondition=condition, PaginationConfig={"PageSize": 2}
        )
    )
    assert [len(page["StreamInfoList"]) for page in pages] == [2, 2, 1]
    listed = [info["StreamName"] for page in pages for info in page["StreamInfoList"]]
    assert listed == names
    assert pages[-1].get("NextToken") is None


def test_a_list_without_a_condition_has_every_stream(service, new_stream):
    names = {new_stream(), new_stream("other-")}
    infos = service.control.list_streams()["StreamInfoList"]
    assert names <= {info["StreamName"] for info in infos}
    info = next(info for info in infos if info["StreamName"] in names)
    assert info == describe(service, StreamName=info["StreamName"])


@pytest.mark.parametrize("api", APIS)
def test_each_api_has_an_endpoint(service, new_stream, api):
    answer = service.control.get_data_endpoint(StreamName=new_stream(), APIName=api)
    assert answer["DataEndpoint"] == service.endpoint


def test_a_deleted_stream_is_gone_and_its_name_free(service, new_stream):
    name = new_stream()
    info = describe(service, StreamName=name)
    service.control.delete_stream(StreamARN=info["StreamARN"], CurrentVersion=info["Version"])
    with pytest.raises(service.control.exceptions.ResourceNotFoundException):
        describe(service, StreamName=name)
    arn = service.control.create_stream(StreamName=name)["StreamARN"]
    assert arn != info["StreamARN"]
    with pytest.raises(service.control.exceptions.ResourceNotFoundException):
        describe(service, StreamARN=info["StreamARN"])
    service.control.delete_stream(StreamARN=arn)
