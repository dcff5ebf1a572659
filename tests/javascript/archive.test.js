// ListFragments and GetMediaForFragmentList.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  GetMediaForFragmentListCommand,
  KinesisVideoArchivedMediaClient,
  ListFragmentsCommand,
  paginateListFragments,
} from "@aws-sdk/client-kinesis-video-archived-media";
import { dataClient, newStream, read, recording } from "./service.js";

const archive = (stream, api) => dataClient(KinesisVideoArchivedMediaClient, stream, api);

function selector(StartTimestamp, EndTimestamp) {
  const TimestampRange = { StartTimestamp, EndTimestamp };
  return { FragmentSelectorType: "PRODUCER_TIMESTAMP", TimestampRange };
}

test("fragments are listed in pages", async () => {
  const { StreamName, fragments } = await recording(5);
  const client = await archive(StreamName, "LIST_FRAGMENTS");
  const [first, last] = [fragments[1].startMs, fragments[3].startMs].map((ms) => new Date(ms));
  const input = { StreamName, FragmentSelector: selector(first, last) };
  const pages = [];
  for await (const page of paginateListFragments({ client, pageSize: 2 }, input)) pages.push(page);
  assert.deepEqual(pages.map((page) => page.Fragments.length), [2, 1]);
  const listed = pages.flatMap((page) => page.Fragments);
  const wanted = fragments.slice(1, 4);
  assert.deepEqual(listed.map((each) => each.FragmentNumber), wanted.map((each) => each.number));
  assert.deepEqual(listed.map((each) => each.ProducerTimestamp.getTime()), wanted.map((each) => each.startMs));
});

test("fragments are read in the order of the request", async () => {
  const { StreamName, fragments } = await recording(3);
  const client = await archive(StreamName, "GET_MEDIA_FOR_FRAGMENT_LIST");
  const wanted = [fragments[2], fragments[0]];
  const input = { StreamName, Fragments: wanted.map((each) => each.number) };
  const answer = await client.send(new GetMediaForFragmentListCommand(input));
  assert.equal(answer.ContentType, "video/webm");
  const chunks = await read(answer.Payload);
  assert.deepEqual(chunks.map((chunk) => chunk.frames), wanted.map((each) => [each.text]));
});

test("errors have their names", async () => {
  const { StreamName } = await newStream();
  const client = await archive(StreamName, "LIST_FRAGMENTS");
  const FragmentSelector = selector(new Date(1000), new Date(2000));
  const Fragments = ["x"];
  for (const [name, status, command] of [
    [
      "ResourceNotFoundException",
      404,
      new ListFragmentsCommand({ StreamName: "no-such-stream", FragmentSelector }),
    ],
    [
      "InvalidArgumentException",
      400,
      new ListFragmentsCommand({ StreamName, FragmentSelector, NextToken: "?" }),
    ],
    [
      "InvalidArgumentException",
      400,
      new GetMediaForFragmentListCommand({ StreamName, Fragments }),
    ],
  ]) {
    const error = await client.send(command).catch((error) => error);
    assert.equal(error.name, name);
    assert.equal(error.$metadata.httpStatusCode, status);
  }
});
