// What the tests share: clients as a user makes them, and streams to use up.
//
// Where the server is, whom to trust and who calls stands in AWS's own variables.

import { randomUUID } from "node:crypto";
import { after } from "node:test";

import {
  CreateStreamCommand,
  DeleteStreamCommand,
  GetDataEndpointCommand,
  KinesisVideoClient,
} from "@aws-sdk/client-kinesis-video";
import * as mkv from "./mkv.js";
import { putMedia } from "./put_media.js";

const START_MS = 1_700_000_000_000;

export const control = new KinesisVideoClient({});

const made = [];
after(async () => {
  for (const StreamARN of made) {
    await control.send(new DeleteStreamCommand({ StreamARN })).catch((error) => {
      if (error.name !== "ResourceNotFoundException") throw error;
    });
  }
  control.destroy();
});

/** Makes a stream whose name is used nowhere else. */
export async function newStream(members = {}) {
  const StreamName = "javascript-" + randomUUID();
  const input = { StreamName, DataRetentionInHours: 24, ...members };
  const { StreamARN } = await control.send(new CreateStreamCommand(input));
  made.push(StreamARN);
  return { StreamName, StreamARN };
}

/** A client for the endpoint that the service names. */
export async function dataClient(Client, StreamName, APIName) {
  const { DataEndpoint } = await control.send(new GetDataEndpointCommand({ StreamName, APIName }));
  const client = new Client({ endpoint: DataEndpoint });
  after(() => client.destroy());
  return client;
}

/** A stream with fragments in it, one a second. */
export async function recording(count) {
  const { StreamName } = await newStream();
  const fragments = Array.from({ length: count }, (_, index) => {
    const startMs = START_MS + 1000 * index;
    return { startMs, text: `frame at ${startMs}` };
  });
  const clusters = fragments.map(({ startMs, text }) => mkv.cluster(startMs, text));
  const input = { StreamName, APIName: "PUT_MEDIA" };
  const { DataEndpoint } = await control.send(new GetDataEndpointCommand(input));
  const acks = await putMedia(DataEndpoint, StreamName, Buffer.concat([mkv.header(), ...clusters]));
  const persisted = acks.filter((ack) => ack.EventType === "PERSISTED");
  fragments.forEach((fragment, index) => (fragment.number = persisted[index].FragmentNumber));
  return { StreamName, fragments };
}

/** The documents of an answer's payload. */
export async function read(payload) {
  return mkv.chunks(Buffer.from(await payload.transformToByteArray()));
}
