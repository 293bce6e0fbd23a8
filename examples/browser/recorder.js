// For the test: hears what the page sounds, sample by sample, and remembers from which frame on.
registerProcessor("recorder", class extends AudioWorkletProcessor {
  constructor() {
    super();
    this.clear();
    this.port.onmessage = ({ data }) => {
      const pcm = Int16Array.from(this.samples, (sample) => Math.round(sample * 32768));
      this.port.postMessage({ asked: data, from: this.from, pcm });
      this.clear();
    };
  }

  clear() {
    this.samples = [];
    this.from = currentFrame;
  }

  process([[samples]]) {
    for (const sample of samples ?? new Float32Array(128)) this.samples.push(sample);
    return true;
  }
});
