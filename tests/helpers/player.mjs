// Drives examples/browser/page/player.js from a pipe: one JSON line in, one out. See tests/helpers/player.py.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { Player } = await import(pathToFileURL(process.argv[2]));
let player;
let reports = [];

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  let signal = "";
  let error = "";
  try {
    if (asked.rate) {
      player = new Player(asked.rate, (report) => reports.push(JSON.stringify(report)));
      player.take({ type: "latency", seconds: asked.latency });
    } else if (asked.text) {
      player.take(asked.text);
    } else if (asked.audio) {
      player.take(Uint8Array.from(Buffer.from(asked.audio, "base64")).buffer);
    } else if (asked.render) {
      const output = new Float32Array(asked.render);
      player.render(output);
      signal = Buffer.from(Int16Array.from(output, (sample) => sample * 32768).buffer).toString("base64");
    }
  } catch (thrown) {
    error = thrown.message;
  }
  process.stdout.write(JSON.stringify({ reports, signal, error }) + "\n");
  reports = [];
}
