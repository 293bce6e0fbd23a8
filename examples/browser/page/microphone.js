// A microphone for rtcore's PushMicrophone: PCM16 at the context's rate, mono, in frames of 20 ms.

export class Framer {
  constructor(rate, emit) {
    this.size = Math.round(rate / 50);
    this.frame = new Int16Array(this.size);
    this.filled = 0;
    this.emit = emit;
  }

  push(samples) {
    for (const sample of samples) {
      this.frame[this.filled++] = Math.max(-32768, Math.min(32767, Math.round(sample * 32768)));
      if (this.filled === this.size) {
        this.emit(this.frame.buffer); // it is given away, and empty here from now on
        this.frame = new Int16Array(this.size);
        this.filled = 0;
      }
    }
  }
}

if (typeof registerProcessor === "function") {
  registerProcessor("rtcore-microphone", class extends AudioWorkletProcessor {
    constructor() {
      super();
      this.framer = new Framer(sampleRate, (buffer) => this.port.postMessage(buffer, [buffer]));
    }

    process([channels]) {
      if (channels.length > 0) this.framer.push(channels[0]);
      return true;
    }
  });
}
