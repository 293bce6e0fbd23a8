// The JavaScript `@openai/agents-realtime`: its session over its websocket transport interrupts, truncates and calls by itself.
//
// The same lines in and out as of the Python clients (stage.py). Its schemas are zod's, and not exported: the module is read from
// where the package keeps it, so that an event that its parser does not take is told.
import { createInterface } from 'node:readline';
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';
import { z } from 'zod';

const { realtimeServerEventSchema } = await import('../node_modules/@openai/agents-realtime/dist/openaiRealtimeEvents.mjs');
const RATE = 24000;
const FRAME = RATE / 50;
const KEY = 'sk-not-a-key-0123456789';

const tell = (what) => process.stdout.write(JSON.stringify(what) + '\n');

// What its parser does not take is passed on as a generic event, and otherwise ignored.
function taken(event) {
  const parsed = realtimeServerEventSchema.safeParse(event);
  return parsed.success ? null : parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
}

async function talk() {
  const weather = tool({
    name: 'weather',
    description: 'The weather at a place.',
    parameters: z.object({ place: z.string() }),
    execute: async (given) => {
      tell({ called: given });
      return '18 degrees and dry';
    },
  });
  const agent = new RealtimeAgent({ name: 'assistant', instructions: 'Answer briefly.', tools: [weather] });
  const transport = new OpenAIRealtimeWebSocket({ url: process.env.RTCORE_URL });
  const detection = { type: 'server_vad', interruptResponse: true, createResponse: true };
  const config = { audio: { input: { turnDetection: detection } } };
  const session = new RealtimeSession(agent, { transport, model: 'gpt-realtime', config, tracingDisabled: true });

  // A loudspeaker of real time: samples that wait, and the time from which they sound.
  let waiting = 0;
  let sounding = performance.now();
  const sound = () => {
    const now = performance.now();
    const samples = Math.min(waiting, Math.floor(((now - sounding) * RATE) / 1000));
    sounding = waiting > samples ? sounding + (samples * 1000) / RATE : now;
    waiting -= samples;
    if (samples > 0) tell({ heard: samples });
  };
  session.on('audio', (event) => {
    sound();
    waiting += event.data.byteLength / 2;
  });
  session.on('audio_interrupted', () => {
    sound();
    waiting = 0;
  });
  session.on('error', (event) => tell({ problem: JSON.stringify(event.error?.error ?? event.error ?? event) }));
  session.transport.on('*', (event) => {
    const wrong = taken(event);
    if (wrong) tell({ problem: `${event.type} is not what its schema says: ${wrong}` });
    tell({ got: event.type });
    if (event.type === 'session.updated') tell({ ready: true });
  });
  await session.connect({ apiKey: KEY });

  let speaking = 0;
  let at = 0;
  const began = performance.now();
  let frames = 0;
  const microphone = setInterval(() => {
    sound();
    // Timers may be late; the microphone is not.
    while (frames * 20 < performance.now() - began && transport.status === 'connected') {
      frames += 1;
      const frame = new Int16Array(FRAME);
      if (speaking > 0) {
        for (let i = 0; i < FRAME; i += 1) frame[i] = 12000 * Math.sin((2 * Math.PI * 220 * (at + i)) / RATE);
        at += FRAME;
        speaking -= FRAME;
      }
      session.sendAudio(frame.buffer);
    }
  }, 10);
  for await (const line of createInterface({ input: process.stdin })) speaking = (JSON.parse(line).speak * RATE) / 1000;
  clearInterval(microphone);
  session.close();
  process.exit(0);
}

async function parse() {
  for await (const line of createInterface({ input: process.stdin })) {
    const { event } = JSON.parse(line);
    const wrong = taken(event);
    if (wrong) tell({ type: event.type, problem: wrong });
  }
}

await (process.argv[2] === '--parse' ? parse() : talk());
