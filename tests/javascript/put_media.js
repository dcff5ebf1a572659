// PutMedia, which the SDK does not have: node's own http, and Signature Version 4 of the head.

import { createHash, createHmac } from "node:crypto";
import http from "node:http";
import https from "node:https";

const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const hmac = (key, text) => createHmac("sha256", key).update(text).digest();

function sign(path, headers) {
  const date = headers["x-amz-date"];
  const scope = [date.slice(0, 8), process.env.AWS_REGION, "kinesisvideo", "aws4_request"];
  const names = Object.keys(headers).sort();
  const lines = names.map((name) => `${name}:${headers[name]}`);
  const signed = names.join(";");
  const canonical = ["POST", path, "", ...lines, "", signed, sha256("")].join("\n");
  const text = ["AWS4-HMAC-SHA256", date, scope.join("/"), sha256(canonical)].join("\n");
  const key = scope.reduce(hmac, "AWS4" + process.env.KVS_SECRET_KEY);
  const credential = [process.env.KVS_ACCESS_KEY, ...scope].join("/");
  const signature = hmac(key, text).toString("hex");
  return `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${signed}, Signature=${signature}`;
}

/** Uploads a whole body and gives all acknowledgements. */
export async function putMedia(endpoint, stream, body) {
  const url = new URL("/putMedia", endpoint);
  const headers = {
    host: url.host,
    "x-amz-date": new Date().toISOString().replace(/[-:]|\.\d+/g, ""),
    "x-amzn-stream-name": stream,
    "x-amzn-fragment-timecode-type": "ABSOLUTE",
  };
  headers.authorization = sign(url.pathname, headers);
  const request = (url.protocol === "https:" ? https : http).request(url, { method: "POST", headers });
  request.end(body);
  const response = await new Promise((resolve, reject) => {
    request.on("response", resolve).on("error", reject);
  });
  let text = "";
  for await (const piece of response) text += piece;
  if (response.statusCode !== 200) throw new Error(`${response.statusCode} ${text}`);
  return text.trim().split("\n").map((line) => JSON.parse(line));
}
