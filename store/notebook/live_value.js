// The page's half of LiveValue: one value or metric, and its editor.

class ValuePage {
  constructor(model, el) {
    this.box = document.createElement("div");
    this.box.className = "rc-live rc-value";
    this.box.innerHTML = `
      <span class="rc-title"></span>
      <button type="button" class="rc-content" aria-live="polite"></button>
      <div class="rc-status" role="status"></div>`;
    this.title = this.box.querySelector(".rc-title");
    this.content = this.box.querySelector(".rc-content");
    this.status = this.box.querySelector(".rc-status");
    this.description = {};
    this.content.addEventListener("click", () => this.edit());
    keepKeys(this.box);
    el.replaceChildren(this.box);
    this.stopTheme = followTheme(this.box);
    this.channel = new Channel(model, () => ({}), (message) => this.take(message));
  }

  take(message) {
    if (message.kind === "opened") {
      this.description = message;
      this.title.textContent = message.title;
      this.content.disabled = !message.editable;
      this.content.title = message.editable ? "Click to edit" : "";
    }
    if (message.kind !== "opened" && message.kind !== "changed") return;
    const isNews = message.kind === "changed";
    this.value = message.value;
    if (!this.cancel) this.show(isNews);
  }

  show(isNews = false) {
    showCell(this.content, this.value);
    this.content.setAttribute("aria-label", `${this.title.textContent}: ${shownText(this.value) || "nothing"}`);
    if (isNews) flash(this.content);
  }

  async edit() {
    if (this.cancel || this.content.disabled) return;
    if (kindOf(this.value) === "boolean") {
      await this.write(String(!this.value));
      return;
    }
    const text = editableText(this.value) ?? (await this.channel.ask({ kind: "read" })).text;
    const place = document.createElement("span");
    this.content.replaceWith(place);
    this.cancel = startEditor(place, this.description, text, this.title.textContent, (typed) => {
      this.cancel = undefined;
      place.replaceWith(this.content);
      this.show();
      this.content.focus();
      if (typed !== null && typed !== text) this.write(typed);
    });
  }

  async write(text) {
    this.content.dataset.state = "waiting";
    const answer = await this.channel.ask({ kind: "edit", text });
    delete this.content.dataset.state;
    this.status.textContent = answer.error ?? "";
    this.show();
  }

  end() {
    this.cancel?.();
    this.stopTheme();
    this.channel.end();
  }
}

function flash(element) {
  element.classList.remove("rc-news");
  void element.offsetWidth;
  element.classList.add("rc-news");
}

export default {
  render({ model, el }) {
    const page = new ValuePage(model, el);
    return () => page.end();
  },
};
