// The page's half of LiveTable: a grid that holds only the rows in sight, sorts, and edits cells.

const ROW = 28;
const AROUND = 12; // rows kept on each side of those in sight
const TALLEST = 8_000_000; // pixels that a scrolled element may have in every browser
const MOST_ROWS = 500; // as many as the kernel gives at once
const NARROWEST = 56;
const WIDEST = 320;
const ID_COLUMN = 0;

class TablePage {
  constructor(model, el) {
    this.count = 0;
    this.columns = [];
    this.order = [];
    this.rows = new Map();
    this.offset = 0;
    this.wanted = { offset: 0, limit: 2 * AROUND + 16, sort: null, descending: false };
    this.focus = { row: -1, column: ID_COLUMN }; // row -1 is the heading
    this.elements = new Map();
    this.widths = [];
    this.build(el);
    this.stopTheme = followTheme(this.box);
    this.channel = new Channel(model, () => this.wanted, (message) => this.take(message));
  }

  build(el) {
    this.box = document.createElement("div");
    this.box.className = "rc-live rc-table";
    this.box.innerHTML = `
      <div class="rc-bar"><span class="rc-title"></span><span class="rc-count"></span></div>
      <div class="rc-grid" role="grid" aria-rowcount="-1">
        <div class="rc-row rc-head" role="row" aria-rowindex="1"></div>
        <div class="rc-body" role="rowgroup"></div>
      </div>
      <div class="rc-status" role="status"></div>`;
    const find = (name) => this.box.querySelector(name);
    [this.title, this.counter, this.grid] = [find(".rc-title"), find(".rc-count"), find(".rc-grid")];
    [this.head, this.body, this.status] = [find(".rc-head"), find(".rc-body"), find(".rc-status")];
    this.grid.addEventListener("scroll", () => this.draw(), { passive: true });
    this.grid.addEventListener("click", (event) => this.clicked(event));
    this.grid.addEventListener("dblclick", (event) => this.edit(this.placeOf(event.target)));
    this.grid.addEventListener("keydown", (event) => this.pressed(event));
    keepKeys(this.box);
    this.resizing = new ResizeObserver(() => this.draw());
    this.resizing.observe(this.grid);
    el.replaceChildren(this.box);
  }

  end() {
    this.cancel?.();
    this.resizing.disconnect();
    this.stopTheme();
    this.channel.end();
  }

  // --- what the kernel says ---------------------------------------------------------------------------

  take(message) {
    const isNews = message.kind === "changed";
    if (message.kind === "opened") {
      this.rows.clear();
      this.title.textContent = message.title;
      this.grid.setAttribute("aria-label", message.title);
      this.grid.setAttribute("aria-readonly", String(!message.editable));
      this.grid.style.maxHeight = `${message.height}px`;
      this.isEditable = message.editable;
    } else if (message.kind !== "window" && !isNews) {
      return;
    }
    if (message.kind !== "changed") {
      this.offset = message.offset;
      this.order = message.order;
    }
    for (const [at, gone, come] of message.splices ?? []) this.order.splice(at, gone, ...come);
    this.takeRows(message.rows ?? {}, isNews);
    if (message.count !== undefined) this.count = message.count;
    if (message.columns !== undefined) this.columns = message.columns;
    // Not each time: what is laid out anew loses the focus, and an editor what was typed.
    const layout = JSON.stringify(this.columns) + (this.rows.size === 0);
    if (layout !== this.layout) {
      this.layout = layout;
      this.cancel?.();
      this.layOut();
    }
    const noun = this.count === 1 ? "row" : "rows";
    this.counter.textContent = `${this.count.toLocaleString("en")} ${noun}`;
    this.grid.setAttribute("aria-rowcount", String(this.count + 1));
    this.draw();
    this.news = undefined;
  }

  takeRows(rows, isNews) {
    const before = this.rows;
    this.rows = new Map();
    this.news = isNews ? new Map() : undefined;
    for (const id of this.order) {
      const cells = { ...before.get(id) };
      const changed = rows[id];
      for (const cell in changed) {
        if (isAbsent(changed[cell])) delete cells[cell];
        else cells[cell] = changed[cell];
      }
      if (changed && isNews) this.news.set(id, changed);
      this.rows.set(id, cells);
    }
  }

  // --- what is in sight -------------------------------------------------------------------------------

  get activeElement() {
    return this.box.getRootNode().activeElement;
  }

  get visibleCount() {
    return Math.ceil(Math.max(this.grid.clientHeight - ROW, ROW) / ROW) + 1;
  }

  /** The first row in sight, and where it is drawn; very many rows are scrolled by proportion. */
  whereNow() {
    const height = this.count * ROW;
    if (height <= TALLEST) {
      const first = Math.max(0, Math.min(Math.floor(this.grid.scrollTop / ROW), this.count - 1));
      return { first, top: first * ROW, height };
    }
    const most = TALLEST - (this.grid.clientHeight - ROW);
    const share = Math.min(this.grid.scrollTop / most, 1);
    const first = Math.round(share * (this.count - this.visibleCount + 1));
    return { first: Math.max(0, first), top: this.grid.scrollTop, height: TALLEST };
  }

  draw() {
    const { first, top, height } = this.whereNow();
    this.body.style.height = `${Math.max(height, this.count ? 0 : ROW)}px`;
    const from = Math.max(0, first - AROUND);
    const to = Math.min(this.count, first + this.visibleCount + AROUND);
    const shown = [];
    for (let index = from; index < to; index++) {
      const id = this.order[index - this.offset];
      if (id !== undefined) shown.push([id, index]);
    }
    const kept = new Set(shown.map(([id]) => id));
    for (const [id, element] of this.elements) {
      if (kept.has(id)) continue;
      if (element.row.contains(this.activeElement)) this.grid.focus({ preventScroll: true });
      element.row.remove();
      this.elements.delete(id);
    }
    let above = null;
    for (const [id, index] of shown) {
      const { row } = this.drawRow(id, index, top + (index - first) * ROW);
      this.putBelow(above, row);
      above = row;
    }
    this.drawEmptiness();
    this.request(first);
    this.moveFocus();
  }

  /** Puts a row below another, in the order of the table, for those who hear the page read. */
  putBelow(above, row) {
    const follower = above === null ? this.body.firstChild : above.nextSibling;
    if (follower === row) return;
    // What is moved loses the focus, and an editor that loses it is done.
    const cell = row.contains(this.editing?.element) ? this.editing.element : undefined;
    if (cell) cell.dataset.moving = "true";
    else if (row.contains(this.activeElement)) this.wantsFocus = true;
    this.body.insertBefore(row, follower);
    if (cell) {
      cell.querySelector(".rc-editor").focus({ preventScroll: true });
      delete cell.dataset.moving;
    }
  }

  drawEmptiness() {
    this.empty ??= Object.assign(document.createElement("div"), { className: "rc-empty" });
    this.empty.textContent = "No rows yet";
    if (this.count === 0 && this.title.textContent) this.body.append(this.empty);
    else this.empty.remove();
  }

  drawRow(id, index, top) {
    let element = this.elements.get(id);
    if (element === undefined) {
      const row = document.createElement("div");
      row.className = "rc-row";
      row.setAttribute("role", "row");
      element = { row, shown: [], cells: this.makeCells(row, id) };
      this.elements.set(id, element);
    }
    element.row.setAttribute("aria-rowindex", String(index + 2));
    element.row.style.transform = `translateY(${top}px)`;
    const cells = this.rows.get(id);
    const news = this.news?.get(id);
    this.columns.forEach((column, place) => {
      const cell = element.cells[place + 1];
      if (this.editing?.element === cell) return;
      if (element.shown[place] !== cells[column.id] || !(place in element.shown)) {
        element.shown[place] = cells[column.id];
        if (cell.dataset.state === "wrong") delete cell.dataset.state;
        showCell(cell, cells[column.id]);
        if (news && column.id in news) this.flash(cell);
      }
    });
    return element;
  }

  makeCells(row, id) {
    const cells = [null, ...this.columns].map((column, place) => {
      const cell = document.createElement("div");
      cell.className = place === ID_COLUMN ? "rc-cell rc-id" : "rc-cell";
      cell.setAttribute("role", place === ID_COLUMN ? "rowheader" : "gridcell");
      cell.setAttribute("aria-colindex", String(place + 1));
      cell.tabIndex = -1;
      if (place === ID_COLUMN) cell.textContent = id;
      else if (!this.isEditable) cell.setAttribute("aria-readonly", "true");
      row.append(cell);
      return cell;
    });
    return cells;
  }

  flash(cell) {
    cell.classList.remove("rc-news");
    void cell.offsetWidth;
    cell.classList.add("rc-news");
  }

  /** Asks for the rows in sight and around them, unless they are here; one question at a time. */
  request(first) {
    const limit = Math.min(this.visibleCount + 2 * AROUND, MOST_ROWS);
    const offset = Math.max(0, Math.min(first - AROUND, this.count - limit));
    const has = offset >= this.offset && Math.min(offset + limit, this.count) <= this.offset + this.order.length;
    const needed = Math.min(first + this.visibleCount, this.count);
    const isNear = first >= this.offset && needed <= this.offset + this.order.length;
    if (has || (isNear && limit <= this.wanted.limit && Math.abs(offset - this.offset) < AROUND / 2)) return;
    this.look({ offset, limit });
  }

  look(changes) {
    this.wanted = { ...this.wanted, ...changes };
    this.asksAgain = true;
    this.asking ??= this.askForWindows().finally(() => (this.asking = undefined));
    return this.asking;
  }

  async askForWindows() {
    while (this.asksAgain) {
      this.asksAgain = false;
      this.take(await this.channel.ask({ kind: "look", ...this.wanted }));
    }
  }

  // --- columns ----------------------------------------------------------------------------------------

  layOut() {
    const text = document.createElement("canvas").getContext("2d");
    text.font = getComputedStyle(this.box).font;
    const sample = [...this.rows].slice(0, 50);
    const fit = (texts) => {
      const widest = Math.max(...texts.map((some) => text.measureText(some.slice(0, 80)).width));
      return Math.round(Math.min(Math.max(widest + 34, NARROWEST), WIDEST));
    };
    this.widths = [
      Math.min(fit(["id", ...sample.map(([id]) => id)]), 160),
      ...this.columns.map(({ id }) => fit([id, ...sample.map(([, cells]) => shownText(cells[id]))])),
    ];
    const stretches = this.columns.map(({ id, types }) => this.isText(id, types));
    if (!stretches.includes(true)) stretches[stretches.length - 1] = true;
    const template = this.widths.map((width, place) =>
      place > ID_COLUMN && stretches[place - 1] ? `minmax(${width}px, 1fr)` : `${width}px`,
    );
    this.box.style.setProperty("--rc-columns", template.join(" "));
    this.grid.setAttribute("aria-colcount", String(this.widths.length));
    this.drawHead();
    for (const { row } of this.elements.values()) row.remove();
    this.elements.clear();
  }

  /** Whether a column holds text or the like, so that it can do with more room. */
  isText(id, types) {
    if (types) return types.some((type) => !["number", "boolean"].includes(type));
    const first = this.firstIn(id);
    return !["number", "boolean", "absent"].includes(kindOf(first));
  }

  firstIn(id) {
    return this.order.map((row) => this.rows.get(row)?.[id]).find((cell) => !isAbsent(cell));
  }

  drawHead() {
    const heads = [{ id: "id" }, ...this.columns].map((column, place) => {
      const head = document.createElement("div");
      head.className = place === ID_COLUMN ? "rc-cell rc-id" : "rc-cell";
      head.setAttribute("role", "columnheader");
      head.setAttribute("aria-colindex", String(place + 1));
      head.tabIndex = -1;
      head.textContent = column.id;
      head.title = place === ID_COLUMN ? "Show in the table's own order" : `Sort by ${column.id}`;
      if (place !== ID_COLUMN && kindOf(this.firstIn(column.id)) === "number") head.dataset.align = "right";
      if (place !== ID_COLUMN) {
        const direction = this.wanted.descending ? "descending" : "ascending";
        head.setAttribute("aria-sort", this.wanted.sort === column.id ? direction : "none");
      }
      return head;
    });
    this.head.replaceChildren(...heads);
  }

  async sortBy(place) {
    if (place === ID_COLUMN) {
      this.wanted = { ...this.wanted, sort: null, descending: false };
    } else {
      const { id } = this.columns[place - 1];
      const again = this.wanted.sort === id;
      if (again && this.wanted.descending) this.wanted = { ...this.wanted, sort: null, descending: false };
      else this.wanted = { ...this.wanted, sort: id, descending: again };
    }
    this.grid.scrollTop = 0;
    this.drawHead();
    this.moveFocus();
    const { sort, descending } = this.wanted;
    const order = sort === null ? "in the table's own order" : `sorted by ${sort}, ${descending ? "descending" : "ascending"}`;
    await this.look({ offset: 0 });
    this.grid.setAttribute("aria-label", `${this.title.textContent}, ${order}`);
  }

  // --- moving about -----------------------------------------------------------------------------------

  /** Which row (by its place in the order) and column an element of the page belongs to. */
  placeOf(target) {
    const cell = target.closest?.(".rc-cell");
    if (!cell) return undefined;
    const column = Number(cell.getAttribute("aria-colindex")) - 1;
    return { row: Number(cell.parentElement.getAttribute("aria-rowindex")) - 2, column };
  }

  cellAt({ row, column }) {
    if (row < 0) return this.head.children[column];
    return this.elements.get(this.order[row - this.offset])?.cells[column];
  }

  clicked(event) {
    const place = this.placeOf(event.target);
    if (!place || event.target.closest(".rc-editor")) return;
    this.goTo(place);
    if (place.row < 0) this.sortBy(place.column);
    else if (event.target.closest(".rc-check")) this.toggle(place);
  }

  goTo({ row, column }) {
    this.focus = {
      row: Math.max(-1, Math.min(row, this.count - 1)),
      column: Math.max(0, Math.min(column, this.columns.length)),
    };
    this.wantsFocus = true;
    this.scrollIntoSight(this.focus.row);
    this.draw();
  }

  scrollIntoSight(row) {
    if (row < 0) return;
    const { first, height } = this.whereNow();
    const room = Math.floor((this.grid.clientHeight - ROW) / ROW);
    if (height < TALLEST) {
      const top = row * ROW;
      if (top < this.grid.scrollTop) this.grid.scrollTop = top;
      else if (top + ROW > this.grid.scrollTop + this.grid.clientHeight - ROW) {
        this.grid.scrollTop = top + ROW - (this.grid.clientHeight - ROW);
      }
    } else if (row < first || row >= first + room) {
      const target = row < first ? row : row - room + 1;
      const most = TALLEST - (this.grid.clientHeight - ROW);
      this.grid.scrollTop = (target / (this.count - this.visibleCount + 1)) * most;
    }
  }

  /** Makes the cell in focus the one that the tab key reaches, and focuses it if it is to have it. */
  moveFocus() {
    const cell = this.cellAt(this.focus);
    if (this.tabbed !== cell) {
      if (this.tabbed) this.tabbed.tabIndex = -1;
      if (cell) cell.tabIndex = 0;
      this.tabbed = cell;
    }
    if (cell && this.wantsFocus && !this.editing) {
      this.wantsFocus = false;
      cell.focus({ preventScroll: true });
      cell.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  }

  pressed(event) {
    if (event.target.closest(".rc-editor")) return;
    const { row, column } = this.focus;
    const page = Math.max(1, this.visibleCount - 2);
    const all = event.ctrlKey || event.metaKey;
    const moves = {
      ArrowUp: [row - 1, column],
      ArrowDown: [row + 1, column],
      ArrowLeft: [row, column - 1],
      ArrowRight: [row, column + 1],
      PageUp: [Math.max(0, row - page), column],
      PageDown: [row + page, column],
      Home: [all ? 0 : row, 0],
      End: [all ? this.count - 1 : row, this.columns.length],
    };
    if (event.key in moves) {
      this.goTo({ row: moves[event.key][0], column: moves[event.key][1] });
    } else if (row < 0 && (event.key === "Enter" || event.key === " ")) {
      this.sortBy(column);
    } else if (event.key === "Enter" || event.key === "F2") {
      this.edit(this.focus);
    } else if (event.key === " ") {
      this.toggle(this.focus);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.write(this.focus, { clear: true });
    } else {
      return;
    }
    event.preventDefault();
  }

  // --- editing ----------------------------------------------------------------------------------------

  canEdit(place) {
    return this.isEditable && !this.editing && place && place.row >= 0 && place.column > ID_COLUMN;
  }

  toggle(place) {
    const id = this.order[place.row - this.offset];
    const cell = this.canEdit(place) ? this.rows.get(id)?.[this.columns[place.column - 1].id] : undefined;
    if (typeof cell === "boolean") this.write(place, { text: String(!cell) });
    else this.edit(place);
  }

  async edit(place) {
    if (!this.canEdit(place)) return;
    const id = this.order[place.row - this.offset];
    const column = this.columns[place.column - 1];
    const cells = this.rows.get(id);
    if (cells === undefined) return;
    if (typeof cells[column.id] === "boolean") {
      this.write(place, { text: String(!cells[column.id]) });
      return;
    }
    let text = editableText(cells[column.id]);
    if (text === undefined) text = (await this.channel.ask({ kind: "read", row: id, cell: column.id })).text;
    const element = this.cellAt(place);
    if (!element || this.editing) return;
    this.status.textContent = "";
    this.focus = place;
    this.editing = { element };
    this.cancel = startEditor(element, column, text, `${column.id} of ${id}`, (typed, key) => {
      this.editing = this.cancel = undefined;
      this.redraw(element, id, column.id);
      if (typed !== null && typed !== text) this.write(place, { text: typed }, id);
      if (key === "Enter") this.goTo({ row: place.row + 1, column: place.column });
      else if (key === "Tab") this.goTo({ row: place.row, column: place.column + 1 });
      else if (key === "BackTab") this.goTo({ row: place.row, column: place.column - 1 });
      else if (key === "Escape") this.goTo(place);
    });
  }

  redraw(element, id, cell) {
    showCell(element, this.rows.get(id)?.[cell]);
  }

  async write(place, change, id = this.order[place.row - this.offset]) {
    if (!this.canEdit(place) || id === undefined) return;
    const column = this.columns[place.column - 1];
    const find = () => this.elements.get(id)?.cells[place.column];
    const element = find();
    if (element) {
      element.dataset.state = "waiting";
      element.title = "Waiting for the kernel";
      if (change.text !== undefined && typeof this.rows.get(id)?.[column.id] !== "boolean") {
        element.textContent = change.text;
      }
    }
    this.status.textContent = "";
    const answer = await this.channel.ask({ kind: "edit", row: id, cell: column.id, ...change });
    const now = find();
    if (now) {
      delete now.dataset.state;
      now.title = "";
      if (this.editing?.element !== now) this.redraw(now, id, column.id);
    }
    if (answer.error) {
      this.status.textContent = `${column.id} of ${id}: ${answer.error}`;
      if (now) {
        now.dataset.state = "wrong";
        now.title = answer.error;
      }
    }
  }
}

export default {
  render({ model, el }) {
    const page = new TablePage(model, el);
    return () => page.end();
  },
};
