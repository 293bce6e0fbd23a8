// What one sees: buttons, the words as they are heard, and the last seconds as a picture.
import { connectVoice } from "./voice.js";
import { Timeline } from "./timeline.js";

const at = (id) => document.getElementById(id);
const timeline = new Timeline(at("timeline"));
const lines = new Map(); // by item: its line of words
let voice = null;
let over = ""; // why the conversation is over, where that is known

function line(item, who) {
  if (!lines.has(item)) {
    const made = document.createElement("li");
    made.className = who;
    at("words").append(made);
    lines.set(item, made);
  }
  return lines.get(item);
}

// Texts come from a model: they are put in as text, never as markup.
function notice(told) {
  switch (told.kind) {
    case "SessionReady": at("state").textContent = "connected: speak"; break;
    case "UserSpeechStarted": timeline.begin("user"); break;
    case "UserSpeechStopped": timeline.end("user"); break;
    case "UserTranscript": line(told.item_id, "user").textContent = told.text; break;
    case "MessageStarted": timeline.begin("model"); line(told.item_id, "model"); break;
    case "HeardText": line(told.item_id, "model").textContent += told.delta; break;
    case "MessageEnded": {
      timeline.end("model");
      if (told.verdict === "skipped") { lines.get(told.item_id)?.remove(); break; }
      const ended = line(told.item_id, "model");
      ended.textContent = told.text;
      ended.classList.toggle("cut", told.verdict === "partial");
      if (told.verdict === "partial") timeline.mark(`${told.heard_ms} ms heard`);
      break;
    }
    case "SessionClosed": over = told.problem?.message ?? "the conversation is over"; break;
  }
}

function enable(on) {
  for (const id of ["interrupt", "mute", "text", "send"]) at(id).disabled = !on;
}

function closed() {
  at("state").textContent = over || "the connection to the gateway is lost";
  timeline.end("user");
  timeline.end("model");
  enable(false);
  at("talk").disabled = false;
}

at("talk").onclick = async () => {
  at("talk").disabled = true;
  at("mute").setAttribute("aria-pressed", false); // a new conversation hears: the button must not say otherwise
  over = "";
  at("state").textContent = "connecting";
  try {
    const url = new URL("voice", location.href.replace(/^http/, "ws"));
    voice = await connectVoice(url, { notice, closed });
    window.voice = voice;
    enable(voice.socket.readyState === WebSocket.OPEN); // there is nothing to press before, nor where it is over already
  } catch (error) {
    over = error.message;
    closed();
  }
};
at("interrupt").onclick = () => voice.send({ type: "interrupt" });
at("mute").onclick = () => {
  const muted = at("mute").getAttribute("aria-pressed") !== "true";
  at("mute").setAttribute("aria-pressed", muted);
  voice.send({ type: "mute", muted });
};
at("typed").onsubmit = (event) => {
  event.preventDefault();
  voice.send({ type: "text", text: at("text").value });
  at("text").value = "";
};
