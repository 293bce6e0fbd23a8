// The page's half: an AudioWorklet that plays what a websocket brings, and tells the websocket what was heard.
//
//     button.onclick = () => connectPlayer("wss://example.com/voice"); // browsers sound nothing before a click

export async function connectPlayer(url, rate = 24000) {
  // At the stream's own rate: the browser resamples on the way to the device, and counts stay counts of the stream.
  const context = new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
  await context.resume();
  await context.audioWorklet.addModule(new URL("player.js", import.meta.url));
  const node = new AudioWorkletNode(context, "rtcore-player", { numberOfInputs: 0, outputChannelCount: [1] });
  node.connect(context.destination);
  const socket = new WebSocket(url); // only now: nothing that it brings may be missed
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => node.port.postMessage(data, data instanceof ArrayBuffer ? [data] : []);
  node.port.onmessage = ({ data }) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(data));
  };
  // Only the page can know the output latency, and it changes with the device.
  const measure = () => node.port.postMessage({ type: "latency", seconds: context.outputLatency || context.baseLatency || 0 });
  measure();
  const timer = setInterval(measure, 1000);
  socket.onclose = () => {
    clearInterval(timer);
    context.close();
  };
  return socket;
}
