// The control plane.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  CreateStreamCommand,
  DeleteStreamCommand,
  DescribeImageGenerationConfigurationCommand,
  DescribeNotificationConfigurationCommand,
  DescribeStreamCommand,
  DescribeStreamStorageConfigurationCommand,
  GetDataEndpointCommand,
  KinesisVideoClient,
  ListStreamsCommand,
  ListTagsForResourceCommand,
  ListTagsForStreamCommand,
  TagResourceCommand,
  TagStreamCommand,
  UntagResourceCommand,
  UntagStreamCommand,
  UpdateDataRetentionCommand,
  UpdateImageGenerationConfigurationCommand,
  UpdateNotificationConfigurationCommand,
  UpdateStreamCommand,
  UpdateStreamStorageConfigurationCommand,
  paginateListStreams,
} from "@aws-sdk/client-kinesis-video";
import { control, newStream } from "./service.js";

const describe = async (stream) => (await control.send(new DescribeStreamCommand(stream))).StreamInfo;

/** What a command is refused with. */
async function refusal(command, client = control) {
  const error = await client.send(command).catch((error) => error);
  return [error.name, error.$metadata?.httpStatusCode];
}

test("a stream is made, described and deleted", async () => {
  const { StreamName, StreamARN } = await newStream({ MediaType: "video/h264", DeviceName: "camera" });
  const info = await describe({ StreamName });
  assert.equal(info.StreamARN, StreamARN);
  assert.equal(info.Status, "ACTIVE");
  assert.equal(info.MediaType, "video/h264");
  assert.equal(info.DeviceName, "camera");
  assert.equal(info.DataRetentionInHours, 24);
  assert.ok(Math.abs(Date.now() - info.CreationTime) < 60_000);
  assert.deepEqual(await describe({ StreamARN }), { ...info });
  await control.send(new DeleteStreamCommand({ StreamARN, CurrentVersion: info.Version }));
  const gone = new DescribeStreamCommand({ StreamName });
  assert.deepEqual(await refusal(gone), ["ResourceNotFoundException", 404]);
});

test("a stream is changed if its version is the one that was read", async () => {
  const { StreamName, StreamARN } = await newStream();
  const { Version } = await describe({ StreamName });
  const change = { StreamARN, CurrentVersion: Version, DeviceName: "camera-2" };
  await control.send(new UpdateStreamCommand(change));
  const mismatch = ["VersionMismatchException", 400];
  assert.deepEqual(await refusal(new UpdateStreamCommand(change)), mismatch);
  const info = await describe({ StreamName });
  assert.equal(info.DeviceName, "camera-2");
  const retention = {
    StreamName,
    Operation: "DECREASE_DATA_RETENTION",
    DataRetentionChangeInHours: 23,
  };
  const late = new UpdateDataRetentionCommand({ ...retention, CurrentVersion: Version });
  assert.deepEqual(await refusal(late), mismatch);
  const now = { ...retention, CurrentVersion: info.Version };
  await control.send(new UpdateDataRetentionCommand(now));
  assert.equal((await describe({ StreamName })).DataRetentionInHours, 1);
});

test("tags are the same in both forms", async () => {
  const { StreamName, StreamARN } = await newStream({ Tags: { site: "home" } });
  const ResourceARN = StreamARN;
  await control.send(new TagStreamCommand({ StreamName, Tags: { floor: "1", door: "front" } }));
  const Tags = [{ Key: "door", Value: "Straße" }];
  await control.send(new TagResourceCommand({ ResourceARN, Tags }));
  await control.send(new UntagStreamCommand({ StreamName, TagKeyList: ["floor"] }));
  const ofStream = await control.send(new ListTagsForStreamCommand({ StreamName }));
  assert.deepEqual(ofStream.Tags, { site: "home", door: "Straße" });
  await control.send(new UntagResourceCommand({ ResourceARN, TagKeyList: ["site"] }));
  const ofResource = await control.send(new ListTagsForResourceCommand({ ResourceARN }));
  assert.deepEqual(ofResource.Tags, { door: "Straße" });
  const many = Object.fromEntries(Array.from({ length: 51 }, (_, index) => [`key-${index}`, ""]));
  const exceeded = new TagStreamCommand({ StreamName, Tags: many });
  assert.deepEqual(await refusal(exceeded), ["TagsPerResourceExceededLimitException", 400]);
});

test("configurations are kept and shown", async () => {
  const { StreamName, StreamARN } = await newStream();
  const ImageGenerationConfiguration = {
    Status: "ENABLED",
    ImageSelectorType: "SERVER_TIMESTAMP",
    DestinationConfig: { Uri: "s3://bucket/cam", DestinationRegion: "us-west-2" },
    SamplingInterval: 200,
    Format: "JPEG",
    FormatConfig: { JPEGQuality: "80" },
  };
  const images = { StreamARN, ImageGenerationConfiguration };
  await control.send(new UpdateImageGenerationConfigurationCommand(images));
  const shown = new DescribeImageGenerationConfigurationCommand({ StreamName });
  const generation = (await control.send(shown)).ImageGenerationConfiguration;
  assert.deepEqual(generation, ImageGenerationConfiguration);
  const Uri = "arn:aws:sns:us-west-2:000000000000:cam";
  const NotificationConfiguration = { Status: "ENABLED", DestinationConfig: { Uri } };
  const notification = { StreamName, NotificationConfiguration };
  await control.send(new UpdateNotificationConfigurationCommand(notification));
  const notified = new DescribeNotificationConfigurationCommand({ StreamARN });
  const told = (await control.send(notified)).NotificationConfiguration;
  assert.deepEqual(told, NotificationConfiguration);
  const { Version } = await describe({ StreamName });
  const StreamStorageConfiguration = { DefaultStorageTier: "WARM" };
  const tier = { StreamName, CurrentVersion: Version, StreamStorageConfiguration };
  await control.send(new UpdateStreamStorageConfigurationCommand(tier));
  const stored = new DescribeStreamStorageConfigurationCommand({ StreamName });
  const storage = (await control.send(stored)).StreamStorageConfiguration;
  assert.deepEqual(storage, StreamStorageConfiguration);
  const again = await refusal(new UpdateStreamStorageConfigurationCommand(tier));
  assert.deepEqual(again, ["VersionMismatchException", 400]);
});

test("streams are listed in pages", async () => {
  const ComparisonValue = (await newStream()).StreamName;
  const StreamNameCondition = { ComparisonOperator: "BEGINS_WITH", ComparisonValue };
  const name = (suffix) => ComparisonValue + suffix;
  for (const suffix of ["-a", "-b"]) await newStream({ StreamName: name(suffix) });
  const pages = [];
  const input = { StreamNameCondition };
  for await (const page of paginateListStreams({ client: control, pageSize: 2 }, input)) {
    pages.push(page.StreamInfoList.map((info) => info.StreamName));
  }
  assert.deepEqual(pages, [[name(""), name("-a")], [name("-b")]]);
});

test("the endpoint is where the server is", async () => {
  const { StreamName } = await newStream();
  for (const APIName of ["GET_MEDIA", "LIST_FRAGMENTS", "GET_MEDIA_FOR_FRAGMENT_LIST"]) {
    const command = new GetDataEndpointCommand({ StreamName, APIName });
    assert.equal((await control.send(command)).DataEndpoint, process.env.KVS_ENDPOINT);
  }
});

test("errors have their names", async () => {
  const { StreamName, StreamARN } = await newStream();
  for (const [name, command] of [
    ["ResourceInUseException", new CreateStreamCommand({ StreamName })],
    ["InvalidArgumentException", new CreateStreamCommand({ StreamName: "a b" })],
    ["VersionMismatchException", new DeleteStreamCommand({ StreamARN, CurrentVersion: "another" })],
    ["InvalidArgumentException", new ListStreamsCommand({ NextToken: "?" })],
  ]) {
    assert.deepEqual(await refusal(command), [name, 400]);
  }
});

test("a narrowed key is refused, and so are a wrong secret and another region", async () => {
  const { StreamName } = await newStream();
  const command = new DescribeStreamCommand({ StreamName });
  const secretAccessKey = process.env.KVS_SECRET_KEY;
  const narrow = { accessKeyId: process.env.KVS_NARROW_ACCESS_KEY, secretAccessKey };
  const wrong = { accessKeyId: process.env.KVS_ACCESS_KEY, secretAccessKey: "wrong" };
  const unknown = { accessKeyId: "AKIDUNKNOWN", secretAccessKey };
  for (const [name, status, config] of [
    ["NotAuthorizedException", 401, { credentials: narrow }],
    ["InvalidSignatureException", 403, { credentials: wrong }],
    ["UnrecognizedClientException", 403, { credentials: unknown }],
    ["InvalidSignatureException", 403, { region: "eu-west-1" }],
  ]) {
    const client = new KinesisVideoClient({ maxAttempts: 1, ...config });
    assert.deepEqual(await refusal(command, client), [name, status]);
    client.destroy();
  }
});
