// The page's half of a conversation: a loudspeaker and a microphone on one AudioContext, and a websocket to the gateway.
//
//     const voice = await connectVoice("wss://example.com/voice", { notice: (n) => ..., closed: () => ... });
//     voice.send({ type: "interrupt" });
//
// Browsers sound nothing and open no microphone before a click.

export async function connectVoice(url, { notice = () => {}, closed = () => {}, rate = 24000, microphone = true } = {}) {
  // At the stream's own rate: the browser resamples on the way to the devices, and counts stay counts of the stream.
  const context = new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
  try {
    return await connected(context, url, { notice, closed, microphone });
  } catch (error) {
    if (context.state !== "closed") await context.close(); // a microphone that is refused, a gateway that is not there
    throw error;
  }
}

async function connected(context, url, { notice, closed, microphone }) {
  await context.resume();
  await Promise.all(["player.js", "microphone.js"].map((file) => context.audioWorklet.addModule(new URL(file, import.meta.url))));
  const player = new AudioWorkletNode(context, "rtcore-player", { numberOfInputs: 0, outputChannelCount: [1] });
  player.connect(context.destination);
  // The browser's own echo canceller takes the player's sound out of the microphone's.
  const wanted = { audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true } };
  const stream = microphone ? await navigator.mediaDevices.getUserMedia(wanted) : null;
  const socket = new WebSocket(url); // only now: nothing that it brings may be missed
  socket.binaryType = "arraybuffer";
  const opened = () => socket.readyState === WebSocket.OPEN;
  const send = (message) => opened() && socket.send(message instanceof ArrayBuffer ? message : JSON.stringify(message));
  const source = stream && context.createMediaStreamSource(stream);
  const ear = stream && new AudioWorkletNode(context, "rtcore-microphone", { numberOfOutputs: 0 });
  if (ear) {
    source.connect(ear);
    ear.port.onmessage = ({ data }) => send(data);
  }
  socket.onmessage = ({ data }) => {
    if (data instanceof ArrayBuffer) return player.port.postMessage(data, [data]);
    const message = JSON.parse(data);
    if (message.type === "notice") return notice(message);
    player.port.postMessage(message);
  };
  player.port.onmessage = ({ data }) => send(data);
  // Only the page can know the output latency, and it changes with the device.
  const measure = () => player.port.postMessage({ type: "latency", seconds: context.outputLatency || context.baseLatency || 0 });
  measure();
  const timer = setInterval(measure, 1000);
  socket.onclose = () => {
    clearInterval(timer);
    stream?.getTracks().forEach((track) => track.stop());
    context.close();
    closed();
  };
  await new Promise((ready, failed) => {
    socket.onopen = ready;
    socket.onerror = () => failed(new Error(`no connection to ${url}`));
  });
  return { context, player, source, ear, socket, send }; // keep it: browsers collect nodes that nobody holds
}
