// What the pages of all live widgets share: the talk with the kernel, cells as text, editors, light and dark.

const RERUN_AFTER = 150; // milliseconds in which changes are collected before cells are run again

const uniqueId = () => Math.random().toString(36).slice(2, 10) + Date.now().toString(36);

/** Opens a view of a widget: says what this page looks at, and takes in what is meant for it. */
class Channel {
  constructor(model, looksAt, take) {
    this.model = model;
    this.looksAt = looksAt;
    this.take = take;
    this.view = uniqueId();
    this.requests = new Map();
    this.nextRequest = 1;
    this.hear = (message) => this.receive(message);
    this.reopen = () => document.visibilityState === "visible" && this.open();
    this.leave = () => this.close();
    model.on("msg:custom", this.hear);
    // What was sent while the machine slept, or to a page kept aside by the browser, may be lost.
    document.addEventListener("visibilitychange", this.reopen);
    window.addEventListener("pagehide", this.leave);
    window.addEventListener("pageshow", this.reopen);
    this.open();
  }

  open() {
    this.send({ kind: "open", ...this.looksAt() });
  }

  send(message) {
    this.model.send({ ...message, view: this.view });
  }

  /** Sends a message and gives what is answered. */
  ask(message) {
    const request = this.nextRequest++;
    return new Promise((resolve) => {
      this.requests.set(request, resolve);
      this.send({ ...message, request });
    });
  }

  receive(message) {
    if (message === null || typeof message !== "object" || message.view !== this.view) return;
    if (message.ask) this.send({ kind: "here" });
    if (message.kind === "opened") {
      this.giveUpRequests();
      this.reruns = message.reruns;
    }
    if (message.kind === "changed" && this.reruns) this.countRevision();
    if (message.kind === "reopen") {
      this.open();
    } else if (this.requests.has(message.request)) {
      const resolve = this.requests.get(message.request);
      this.requests.delete(message.request);
      resolve(message);
    } else {
      this.take(message);
    }
  }

  /** Has marimo run the cells again that refer to the widget: it does so when a page changes a trait. */
  countRevision() {
    this.counting ??= setTimeout(() => {
      this.counting = undefined;
      this.model.set("revision", this.model.get("revision") + 1);
      this.model.save_changes();
    }, RERUN_AFTER);
  }

  /** Answers what the kernel did not: it answers in order, so nothing asked before it opened a view is coming. */
  giveUpRequests() {
    const lost = { kind: "lost", text: "", error: "The kernel did not answer; look whether the edit is there." };
    const requests = [...this.requests.values()];
    this.requests.clear();
    for (const resolve of requests) resolve(lost);
  }

  close() {
    this.send({ kind: "close" });
  }

  end() {
    clearTimeout(this.counting);
    this.model.off("msg:custom", this.hear);
    document.removeEventListener("visibilitychange", this.reopen);
    window.removeEventListener("pagehide", this.leave);
    window.removeEventListener("pageshow", this.reopen);
    this.close();
  }
}

/** Marks an element as light or dark, as the text around it is, and again whenever the page may have changed. */
function followTheme(element) {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const pixel = canvas.getContext("2d", { willReadFrequently: true });
  const look = () => {
    // Drawn, because a colour may be written in many ways.
    pixel.fillStyle = getComputedStyle(element.parentElement ?? element).color;
    pixel.fillRect(0, 0, 1, 1);
    const [red, green, blue] = pixel.getImageData(0, 0, 1, 1).data;
    element.dataset.theme = red * 0.299 + green * 0.587 + blue * 0.114 > 140 ? "dark" : "light";
  };
  const observer = new MutationObserver(look);
  for (const watched of [document.documentElement, document.body]) {
    observer.observe(watched, { attributes: true });
  }
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  prefersDark.addEventListener("change", look);
  // A style sheet may come later than the attributes that announce it; then the colour's transition tells.
  element.addEventListener("transitionend", look);
  const frame = requestAnimationFrame(look);
  look();
  return () => {
    observer.disconnect();
    prefersDark.removeEventListener("change", look);
    cancelAnimationFrame(frame);
  };
}

// --- cells, as the kernel sends them ---------------------------------------------------------------------

const isAbsent = (cell) => cell === undefined || (Array.isArray(cell) && cell.length === 0);

/** The whole of a cell as it can be edited, or undefined if the page has only its beginning. */
function editableText(cell) {
  if (isAbsent(cell)) return "";
  if (!Array.isArray(cell)) return String(cell);
  const [kind, text, length] = cell;
  return kind === "int" || length <= text.length ? text : undefined;
}

function shownText(cell) {
  if (isAbsent(cell)) return "";
  return Array.isArray(cell) ? cell[1] + (cell[2] > cell[1].length ? "…" : "") : String(cell);
}

function kindOf(cell) {
  if (isAbsent(cell)) return "absent";
  if (cell === null) return "null";
  if (Array.isArray(cell)) return cell[0] === "int" ? "number" : cell[0];
  return typeof cell === "string" ? "text" : typeof cell;
}

/** Puts a cell into an element, as text only, so that nothing in it is taken for HTML. */
function showCell(element, cell) {
  const kind = kindOf(cell);
  element.dataset.kind = kind;
  if (kind === "boolean") {
    const mark = document.createElement("span");
    mark.className = "rc-check";
    mark.dataset.checked = cell;
    mark.setAttribute("aria-hidden", "true");
    const spoken = document.createElement("span");
    spoken.className = "rc-spoken";
    spoken.textContent = String(cell);
    element.replaceChildren(mark, spoken);
  } else {
    element.textContent = shownText(cell);
  }
}

/**
 * Puts an editor for a cell into an element.
 *
 * `done` is called once, with what was typed and the key that ended it, or with null if it was given up.
 */
function startEditor(element, description, text, label, done) {
  const options = description.enum?.map(editableText);
  const editor = document.createElement(options ? "select" : "input");
  editor.className = "rc-editor";
  editor.setAttribute("aria-label", label);
  if (options) {
    if (!options.includes(text)) options.unshift(text);
    for (const option of options) editor.add(new Option(option, option, false, option === text));
  } else {
    editor.type = "text";
    editor.spellcheck = false;
    editor.autocomplete = "off";
    if ((description.types ?? []).join() === "number") editor.inputMode = "decimal";
    editor.value = text;
  }
  let isOver = false;
  const end = (typed, key) => {
    if (isOver) return;
    isOver = true;
    done(typed, key);
  };
  editor.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter" || event.key === "Tab") {
      event.preventDefault();
      end(editor.value, event.shiftKey && event.key === "Tab" ? "BackTab" : event.key);
    } else if (event.key === "Escape") {
      event.preventDefault();
      end(null, event.key);
    }
  });
  editor.addEventListener("blur", () => element.dataset.moving || end(editor.value, "blur"));
  element.replaceChildren(editor);
  editor.focus({ preventScroll: true });
  editor.select?.();
  return () => end(null, "gone");
}

/** Keeps the keys of a widget from being taken for short cuts of the notebook. */
function keepKeys(element) {
  element.dataset.lmSuppressShortcuts = "true";
  element.addEventListener("keydown", (event) => event.stopPropagation());
}

