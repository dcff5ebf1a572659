"""Media in through PutMedia, out through GetMedia."""

import datetime

import mkv
from conftest import START_MS


def instant(ms):
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc)


def assert_is(chunk, recording, index):
    """Whether the chunk carries that fragment, whole, with what the service says of it."""
    assert chunk.fragment_number == recording.numbers[index]
    assert chunk.timecodes == [recording.starts_ms[index]]
    assert chunk.frames == mkv.frames_of(recording.clusters[index])
    assert chunk.order == [mkv.INFO, mkv.TRACKS, mkv.TAGS, mkv.CLUSTER, mkv.TAGS]
    start_ms = recording.starts_ms[index]
    assert chunk.producer_timestamp == f"{start_ms // 1000}.{start_ms % 1000:03}"
    assert chunk.continuation_token == recording.numbers[index]
    assert int(chunk.millis_behind_now) >= 0
    assert mkv.END_OF_FRAGMENT not in chunk.tags


def assert_from(chunks, recording, first):
    assert len(chunks) == len(recording.numbers) - first
    for offset, chunk in enumerate(chunks):
        assert_is(chunk, recording, first + offset)


def test_each_fragment_is_acknowledged_in_order(recording):
    for number, start_ms in zip(recording.numbers, recording.starts_ms):
        acks = [ack for ack in recording.acks if ack["FragmentNumber"] == number]
        assert [ack["EventType"] for ack in acks] == ["BUFFERING", "RECEIVED", "PERSISTED"]
        assert {ack["FragmentTimecode"] for ack in acks} == {start_ms}
    assert sorted(recording.numbers, key=int) == recording.numbers


def test_without_retention_received_is_the_last_word(service, new_stream):
    stream = new_stream(retention_hours=0)
    upload = service.put_media(stream)
    upload.send(mkv.header() + mkv.cluster(START_MS))
    assert [ack["EventType"] for ack in upload.finish()] == ["BUFFERING", "RECEIVED"]
    chunks = service.get_media(stream, StartSelectorType="EARLIEST")
    assert [chunk.timecodes for chunk in chunks] == [[START_MS]]


def test_end_of_fragment_ends_it_while_the_body_is_open(service, new_stream):
    upload = service.put_media(new_stream())
    upload.send(mkv.header() + mkv.cluster(START_MS) + mkv.end_of_fragment())
    assert upload.ack_of("PERSISTED")["FragmentTimecode"] == START_MS
    assert upload.finish() == []


def test_metadata_comes_back_with_its_fragment(service, new_stream):
    stream = new_stream()
    upload = service.put_media(stream)
    upload.send(mkv.header() + mkv.cluster(START_MS) + mkv.tags(("door", "open"), ("light", "")))
    upload.send(mkv.cluster(START_MS + 1000))
    upload.finish()
    first, second = service.get_media(stream, StartSelectorType="EARLIEST")
    assert (first.tags["door"], first.tags["light"]) == ("open", "")
    assert "door" not in second.tags


def test_relative_timecodes_count_from_the_start_that_is_given(service, new_stream):
    stream = new_stream()
    upload = service.put_media(
        stream,
        x_amzn_fragment_timecode_type="RELATIVE",
        x_amzn_producer_start_timestamp="1700000000.250",
    )
    upload.send(mkv.header() + mkv.cluster(2000))
    assert {ack["FragmentTimecode"] for ack in upload.finish()} == {2000}
    [chunk] = service.get_media(stream, StartSelectorType="EARLIEST")
    assert chunk.timecodes == [2000]
    assert chunk.producer_timestamp == "1700000002.250"


def test_earliest_is_the_oldest_fragment(service, recording):
    assert_from(service.get_media(recording.stream, StartSelectorType="EARLIEST"), recording, 0)


def test_fragment_number_is_the_one_after(service, recording):
    chunks = service.get_media(
        recording.stream,
        StartSelectorType="FRAGMENT_NUMBER",
        AfterFragmentNumber=recording.numbers[1],
    )
    assert_from(chunks, recording, 2)


def test_continuation_token_goes_on_where_a_chunk_ended(service, recording):
    chunks = service.get_media(recording.stream, StartSelectorType="EARLIEST")
    rest = service.get_media(
        recording.stream,
        StartSelectorType="CONTINUATION_TOKEN",
        ContinuationToken=chunks[2].continuation_token,
    )
    assert_from(rest, recording, 3)


def test_producer_timestamp_is_the_fragment_that_contains_it(service, recording):
    chunks = service.get_media(
        recording.stream,
        StartSelectorType="PRODUCER_TIMESTAMP",
        StartTimestamp=instant(recording.starts_ms[1] + 150),
    )
    assert_from(chunks, recording, 1)


def test_producer_timestamp_in_a_gap_is_the_next_fragment(service, recording):
    chunks = service.get_media(
        recording.stream,
        StartSelectorType="PRODUCER_TIMESTAMP",
        StartTimestamp=instant(recording.starts_ms[1] + 900),
    )
    assert_from(chunks, recording, 2)


def test_server_timestamp_before_everything_is_the_first_fragment(service, recording):
    info = service.control.describe_stream(StreamName=recording.stream)["StreamInfo"]
    chunks = service.get_media(
        recording.stream,
        StartSelectorType="SERVER_TIMESTAMP",
        StartTimestamp=info["CreationTime"],
    )
    assert_from(chunks, recording, 0)


def test_server_timestamp_is_the_servers_clock(service, new_stream):
    stream = new_stream()
    upload = service.put_media(stream)
    upload.send(mkv.header())
    for number in range(3):
        # One frame has no length: no fragment contains an instant but that of its own start.
        start_ms = START_MS + 1000 * number
        upload.send(mkv.cluster(start_ms, frames=1) + mkv.end_of_fragment())
        upload.ack_of("PERSISTED")
    upload.finish()
    chunks = service.get_media(stream, StartSelectorType="EARLIEST")
    at = instant(round(float(chunks[1].server_timestamp) * 1000))
    found = service.get_media(stream, StartSelectorType="SERVER_TIMESTAMP", StartTimestamp=at)
    # Not by number: two may have come in the same millisecond.
    assert found[0].server_timestamp == chunks[1].server_timestamp


def test_now_is_the_fragment_that_is_being_received(service, new_stream):
    stream = new_stream()
    upload = service.put_media(stream)
    upload.send(mkv.header() + mkv.cluster(START_MS) + mkv.end_of_fragment())
    upload.ack_of("PERSISTED")
    live = mkv.cluster(START_MS + 1000)
    upload.send(live[:200])
    assert upload.ack_of("BUFFERING")["FragmentTimecode"] == START_MS + 1000
    media = service.data_client("kinesis-video-media", stream, "GET_MEDIA")
    answer = media.get_media(StreamName=stream, StartSelector={"StartSelectorType": "NOW"})
    upload.send(live[200:])
    upload.finish()
    [chunk] = mkv.chunks(answer["Payload"].read())
    assert chunk.frames == mkv.frames_of(live)


def test_a_stream_without_media_ends_without_a_chunk(service, new_stream):
    assert service.get_media(new_stream(), StartSelectorType="EARLIEST") == []
