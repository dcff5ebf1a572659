// GetMedia.

import assert from "node:assert/strict";
import { test } from "node:test";

import { GetMediaCommand, KinesisVideoMediaClient } from "@aws-sdk/client-kinesis-video-media";
import { dataClient, newStream, read, recording } from "./service.js";

async function getMedia(StreamName, StartSelector) {
  const client = await dataClient(KinesisVideoMediaClient, StreamName, "GET_MEDIA");
  const answer = await client.send(new GetMediaCommand({ StreamName, StartSelector }));
  assert.equal(answer.ContentType, "video/webm");
  return read(answer.Payload);
}

test("a stream is read from its beginning", async () => {
  const { StreamName, fragments } = await recording(3);
  const chunks = await getMedia(StreamName, { StartSelectorType: "EARLIEST" });
  const frames = fragments.map((fragment) => [fragment.text]);
  assert.deepEqual(chunks.map((chunk) => chunk.frames), frames);
  const numbers = fragments.map((fragment) => fragment.number);
  const name = "AWS_KINESISVIDEO_FRAGMENT_NUMBER";
  assert.deepEqual(chunks.map((chunk) => chunk.tags[name]), numbers);
});

test("a token, a number and a time are where it goes on", async () => {
  const { StreamName, fragments } = await recording(3);
  const [first] = await getMedia(StreamName, { StartSelectorType: "EARLIEST" });
  for (const selector of [
    {
      StartSelectorType: "CONTINUATION_TOKEN",
      ContinuationToken: first.tags.AWS_KINESISVIDEO_CONTINUATION_TOKEN,
    },
    { StartSelectorType: "FRAGMENT_NUMBER", AfterFragmentNumber: fragments[0].number },
    { StartSelectorType: "PRODUCER_TIMESTAMP", StartTimestamp: new Date(fragments[1].startMs) },
  ]) {
    const [next] = await getMedia(StreamName, selector);
    assert.deepEqual(next.frames, [fragments[1].text], selector.StartSelectorType);
  }
});

test("errors have their names", async () => {
  const { StreamName } = await newStream();
  const client = await dataClient(KinesisVideoMediaClient, StreamName, "GET_MEDIA");
  const now = { StartSelectorType: "NOW" };
  const wrong = { StartSelectorType: "LATEST" };
  for (const [name, status, input] of [
    ["ResourceNotFoundException", 404, { StreamName: "no-such-stream", StartSelector: now }],
    ["InvalidArgumentException", 400, { StreamName, StartSelector: wrong }],
  ]) {
    const error = await client.send(new GetMediaCommand(input)).catch((error) => error);
    assert.equal(error.name, name);
    assert.equal(error.$metadata.httpStatusCode, status);
  }
});
