"""The archive: ListFragments and GetMediaForFragmentList."""

import datetime

import pytest

import mkv


def instant(ms):
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc)


def selector(kind, start, end):
    return {
        "FragmentSelectorType": kind,
        "TimestampRange": {"StartTimestamp": start, "EndTimestamp": end},
    }


def by_producer(start_ms, end_ms):
    return selector("PRODUCER_TIMESTAMP", instant(start_ms), instant(end_ms))


def list_pages(service, recording, fragments, **config):
    paginator = service.archive(recording.stream).get_paginator("list_fragments")
    return list(
        paginator.paginate(
            StreamName=recording.stream, FragmentSelector=fragments, PaginationConfig=config
        )
    )


def numbers(pages):
    """In the order of their numbers: the service promises none."""
    return sorted((f["FragmentNumber"] for page in pages for f in page["Fragments"]), key=int)


def test_a_fragment_is_listed_as_it_is(service, recording):
    start_ms = recording.starts_ms[2]
    [page] = list_pages(service, recording, by_producer(start_ms, start_ms))
    [fragment] = page["Fragments"]
    assert fragment["FragmentNumber"] == recording.numbers[2]
    assert fragment["ProducerTimestamp"] == instant(start_ms)
    assert fragment["FragmentLengthInMilliseconds"] == 200
    assert fragment["FragmentSizeInBytes"] >= len(recording.clusters[2])
    age = datetime.datetime.now(datetime.timezone.utc) - fragment["ServerTimestamp"]
    assert datetime.timedelta(seconds=-1) < age < datetime.timedelta(minutes=1)


def test_both_ends_of_a_range_belong_to_it(service, recording):
    starts_ms = recording.starts_ms
    pages = list_pages(service, recording, by_producer(starts_ms[1], starts_ms[3]))
    assert numbers(pages) == recording.numbers[1:4]
    pages = list_pages(service, recording, by_producer(starts_ms[1] + 1, starts_ms[3] - 1))
    assert numbers(pages) == recording.numbers[2:3]


def test_pages_have_every_fragment_once(service, recording):
    everything = by_producer(recording.starts_ms[0], recording.starts_ms[-1])
    pages = list_pages(service, recording, everything, PageSize=2)
    assert [len(page["Fragments"]) for page in pages] == [2, 2, 1]
    assert numbers(pages) == recording.numbers


def test_a_token_alone_asks_for_the_next_page(service, recording):
    archive = service.archive(recording.stream)
    everything = by_producer(recording.starts_ms[0], recording.starts_ms[-1])
    stream = {"StreamName": recording.stream}
    first = archive.list_fragments(**stream, FragmentSelector=everything, MaxResults=3)
    second = archive.list_fragments(**stream, NextToken=first["NextToken"])
    assert numbers([first, second]) == recording.numbers


def test_the_servers_clock_selects_too(service, recording):
    now = datetime.datetime.now(datetime.timezone.utc)
    hour = datetime.timedelta(hours=1)
    pages = list_pages(service, recording, selector("SERVER_TIMESTAMP", now - hour, now))
    assert numbers(pages) == recording.numbers
    pages = list_pages(service, recording, selector("SERVER_TIMESTAMP", now - 2 * hour, now - hour))
    assert numbers(pages) == []


def test_an_empty_range_is_an_empty_list(service, recording):
    [page] = list_pages(service, recording, by_producer(0, 1000))
    assert page["Fragments"] == []
    assert page.get("NextToken") is None


def test_the_media_of_a_list_comes_in_its_order(service, recording):
    archive = service.archive(recording.stream, "GET_MEDIA_FOR_FRAGMENT_LIST")
    order = [3, 0, 4]
    answer = archive.get_media_for_fragment_list(
        StreamName=recording.stream, Fragments=[recording.numbers[index] for index in order]
    )
    assert answer["ContentType"] == "video/webm"
    chunks = mkv.chunks(answer["Payload"].read())
    assert [chunk.fragment_number for chunk in chunks] == [recording.numbers[i] for i in order]
    for index, chunk in zip(order, chunks):
        assert chunk.has_tracks
        assert chunk.frames == mkv.frames_of(recording.clusters[index])
        assert chunk.server_timestamp is not None
        assert chunk.order == [mkv.INFO, mkv.TRACKS, mkv.TAGS, mkv.CLUSTER]


@pytest.mark.parametrize("stream_by", ["StreamName", "StreamARN"])
def test_a_stream_can_be_named_either_way(service, recording, stream_by):
    info = service.control.describe_stream(StreamName=recording.stream)["StreamInfo"]
    archive = service.archive(recording.stream)
    page = archive.list_fragments(
        **{stream_by: info[stream_by]},
        FragmentSelector=by_producer(recording.starts_ms[0], recording.starts_ms[-1]),
    )
    assert numbers([page]) == recording.numbers
