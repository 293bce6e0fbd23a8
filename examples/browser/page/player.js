// A loudspeaker for rtcore's RemoteSpeaker: sounds what it is sent, and says how much of it has become audible.
//
// `Player` is the whole of it and knows no browser: messages in (`take`), samples out (`render`), reports out (`tell`). The
// AudioWorklet at the end of the file only carries them; `voice.js` connects it with a websocket. The messages are described in
// docs/clocks.md, "A clock across a network".
//
// It counts samples of the stream, never silence, and counts them when they are heard: a sample that was rendered in frame n is
// audible `latency` frames later. Nothing is dropped but by a flush, so the queue has no bound of its own: the sender has one.

const HEADER = 12;

export class Player {
  constructor(rate, tell) {
    this.rate = rate;
    this.tell = tell;
    this.latency = 0; // frames from the rendering of a sample to its sound
    this.frame = 0; // frames rendered since the beginning
    this.begin(50);
  }

  begin(reportMs) {
    this.queue = []; // { generation, pcm, at }: what waits, and how far into it the sound has come
    this.out = new Map(); // by generation: samples rendered
    this.heard = new Map(); // by generation: samples audible
    this.told = new Map();
    this.underway = []; // { generation, samples, at }: rendered, audible from frame `at` on
    this.flushes = []; // { generation, samples, at }: to be answered in frame `at`
    this.refused = 0; // generations up to this one are flushed
    this.drained = 0;
    this.held = 0; // generations up to this one are held
    this.dry = true;
    this.every = Math.max(1, Math.round((this.rate * reportMs) / 1000));
    this.reportAt = this.frame + this.every;
  }

  take(data) {
    if (data instanceof ArrayBuffer) return this.play(data);
    const message = typeof data === "string" ? JSON.parse(data) : data;
    switch (message.type) {
      case "begin": return this.begin(message.report_ms);
      case "drain": this.drained = Math.max(this.drained, message.generation); return;
      case "flush": return this.flush(message.generation);
      case "pause": this.held = message.generation; return;
      case "resume": this.held = 0; return;
      case "latency": this.latency = Math.round(message.seconds * this.rate); return;
      case "end": return this.begin(50);
    }
  }

  play(buffer) {
    const header = new DataView(buffer);
    const [kind, encoding] = [header.getUint8(0), header.getUint8(1)];
    const [generation, rate] = [header.getUint32(4, true), header.getUint32(8, true)];
    if (kind !== 1 || encoding !== 0) throw new Error("this player sounds PCM16: set audio.output.format to audio/pcm");
    if (rate !== this.rate) throw new Error(`audio of ${rate} Hz in a context of ${this.rate} Hz: make it with sampleRate ${rate}`);
    if (generation <= this.refused) return; // on its way when it was flushed
    const pcm = new Int16Array(buffer, HEADER); // little endian, as every browser is
    if (pcm.length === 0) return;
    this.queue.push({ generation, pcm, at: 0 });
    this.drained = Math.min(this.drained, generation - 1);
    this.dry = false;
  }

  flush(generation) {
    this.refused = Math.max(this.refused, generation);
    this.queue = this.queue.filter((chunk) => chunk.generation > generation);
    if (this.held <= generation) this.held = 0;
    if (this.queue.length === 0) this.dry = true;
    const last = this.underway.filter((entry) => entry.generation <= generation).pop();
    this.flushes.push({ generation, samples: this.out.get(generation) ?? 0, at: last ? last.at : this.frame });
    this.report();
  }

  // Fills `output` and lets its time pass.
  render(output) {
    output.fill(0);
    let filled = 0;
    while (filled < output.length && this.queue.length > 0 && this.queue[0].generation > this.held) {
      const chunk = this.queue[0];
      const count = Math.min(output.length - filled, chunk.pcm.length - chunk.at);
      for (let i = 0; i < count; i++) output[filled + i] = chunk.pcm[chunk.at + i] / 32768;
      chunk.at += count;
      filled += count;
      const samples = (this.out.get(chunk.generation) ?? 0) + count;
      this.out.set(chunk.generation, samples);
      this.underway.push({ generation: chunk.generation, samples, at: this.frame + filled + this.latency });
      if (chunk.at === chunk.pcm.length) this.queue.shift();
    }
    this.frame += output.length;
    this.report();
  }

  report() {
    while (this.underway.length > 0 && this.underway[0].at <= this.frame) {
      const { generation, samples } = this.underway.shift();
      this.heard.set(generation, samples);
    }
    while (this.flushes.length > 0 && this.flushes[0].at <= this.frame) {
      const { generation, samples } = this.flushes.shift();
      for (const counts of [this.out, this.heard, this.told]) {
        for (const old of [...counts.keys()]) if (old <= generation) counts.delete(old);
      }
      this.tell({ type: "flushed", generation, samples });
    }
    const ranDry = !this.dry && this.queue.length === 0 && this.underway.length === 0;
    if (this.frame >= this.reportAt || ranDry) {
      this.reportAt = this.frame + this.every;
      for (const [generation, samples] of this.heard) {
        if (this.told.get(generation) !== samples) this.tell({ type: "played", generation, samples });
        this.told.set(generation, samples);
      }
    }
    if (ranDry) {
      this.dry = true;
      const generation = Math.max(0, ...this.heard.keys());
      if (generation > this.drained) this.tell({ type: "underrun", generation });
    }
  }
}

if (typeof registerProcessor === "function") {
  registerProcessor("rtcore-player", class extends AudioWorkletProcessor {
    constructor() {
      super();
      const player = (this.player = new Player(sampleRate, (report) => this.port.postMessage(report)));
      this.port.onmessage = ({ data }) => player.take(data);
    }

    process(_inputs, [[output]]) {
      this.player.render(output);
      return true;
    }
  });
}
