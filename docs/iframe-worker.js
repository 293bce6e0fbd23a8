// A page that is opened as a file may start no worker, and the search runs in one. Here it runs in a frame instead.
"use strict";
if (location.protocol === "file:" || location.origin === "null") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.onmessage = null;
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      const base = String(new URL(url, document.baseURI));
      const load = "self.importScripts = (...urls) => urls.reduce((before, url) => before.then(() => new Promise((done, failed) => {" +
        "const script = document.createElement('script'); script.src = new URL(url, " + JSON.stringify(base) + ");" +
        "script.onload = done; script.onerror = failed; document.head.append(script); })), Promise.resolve());" +
        "self.postMessage = (data) => parent.postMessage(data, '*');";
      this.frame.srcdoc = "<script>" + load + "</scr" + "ipt><script src='" + base.replace(/'/g, "%27") + "'></scr" + "ipt>";
      this.ready = new Promise((done) => this.frame.addEventListener("load", done, { once: true }));
      window.addEventListener("message", (event) => {
        if (event.source !== this.frame.contentWindow) return;
        const told = new MessageEvent("message", { data: event.data });
        if (this.onmessage) this.onmessage(told);
        this.dispatchEvent(told);
      });
      document.documentElement.append(this.frame);
    }

    postMessage(data) {
      this.ready.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
