// A virtual grid: fixed row height, only the rows on screen exist, windows of rows are fetched as they are needed.
import { el } from "./dom.js";

const ROW_HEIGHT = 38;
const OVERSCAN_ROWS = 8;
const PAGE_ROWS = 100;
const MAX_CACHED_PAGES = 40;

export class Grid {
  // `load(offset, limit, signal)` gives rows; `paint(node, row)` fills a row; `changed(index)` tells of a new active row.
  constructor(grid, viewport, spacer, { load, paint, changed }) {
    Object.assign(this, { grid, viewport, spacer, load, paint, changed });
    this.total = 0;
    this.active = -1;
    this.selected = new Set();
    this.pages = new Map();
    this.loading = new Map();
    this.nodes = new Map();
    this.frame = 0;
    this.turn = 0;
    viewport.addEventListener("scroll", () => this.schedule(), { passive: true });
    new ResizeObserver(() => this.schedule()).observe(viewport);
  }

  reset(total, rows) {
    this.turn += 1;
    for (const controller of this.loading.values()) controller.abort();
    this.loading.clear();
    this.pages.clear();
    this.setTotal(total);
    // A first window shorter than a page may be kept only when it is the whole queue.
    if (rows && (rows.length === PAGE_ROWS || rows.length === total)) this.pages.set(0, rows);
    this.firstRows = rows ?? null;
    this.draw(true);
  }

  setTotal(total) {
    this.total = total;
    this.spacer.style.height = `${total * ROW_HEIGHT}px`;
    this.grid.setAttribute("aria-rowcount", String(total + 1));
    if (this.active >= total) this.active = total - 1;
  }

  row(index) {
    return this.pages.get(Math.floor(index / PAGE_ROWS))?.[index % PAGE_ROWS]
      ?? (index < PAGE_ROWS ? this.firstRows?.[index] : undefined) ?? null;
  }

  schedule() {
    if (!this.frame) this.frame = requestAnimationFrame(() => { this.frame = 0; this.draw(false); });
  }

  visible() {
    const first = Math.max(0, Math.floor(this.viewport.scrollTop / ROW_HEIGHT) - OVERSCAN_ROWS);
    const last = Math.min(this.total, Math.ceil((this.viewport.scrollTop + this.viewport.clientHeight) / ROW_HEIGHT) + OVERSCAN_ROWS);
    return [first, last];
  }

  draw(repaint) {
    const [first, last] = this.visible();
    for (const [index, node] of this.nodes) {
      if (index < first || index >= last) { node.remove(); this.nodes.delete(index); }
    }
    for (let index = first; index < last; index += 1) {
      let node = this.nodes.get(index);
      if (!node) {
        node = el("div", { class: "grow row", role: "row", id: `row-${index}`, "aria-rowindex": index + 2 });
        node.dataset.index = index;
        node.style.transform = `translateY(${index * ROW_HEIGHT}px)`;
        this.nodes.set(index, node);
        this.spacer.append(node);
        this.fill(index, node);
      } else if (repaint || node.dataset.empty) this.fill(index, node);
    }
    for (let page = Math.floor(first / PAGE_ROWS); page * PAGE_ROWS < last; page += 1) this.fetchPage(page);
  }

  fill(index, node) {
    const row = this.row(index);
    if (row) { delete node.dataset.empty; this.paint(node, row); } else {
      node.dataset.empty = "yes";
      node.replaceChildren(el("div"), el("div", { class: "skeleton" }), el("div", { class: "skeleton" }), el("div", { class: "skeleton" }));
    }
    node.classList.toggle("active", index === this.active);
    node.setAttribute("aria-selected", String(Boolean(row && this.selected.has(row.id))));
  }

  async fetchPage(page) {
    if (this.pages.has(page) || this.loading.has(page)) return;
    const controller = new AbortController();
    this.loading.set(page, controller);
    try {
      const rows = await this.load(page * PAGE_ROWS, PAGE_ROWS, controller.signal);
      if (controller.signal.aborted) return;
      this.pages.set(page, rows);
      if (this.pages.size > MAX_CACHED_PAGES) this.pages.delete(this.pages.keys().next().value);
      for (let index = page * PAGE_ROWS; index < (page + 1) * PAGE_ROWS; index += 1) {
        const node = this.nodes.get(index);
        if (node) this.fill(index, node);
      }
    } catch (error) {
      if (error.name !== "AbortError") setTimeout(() => this.schedule(), 2000);
    } finally {
      if (this.loading.get(page) === controller) this.loading.delete(page);
    }
  }

  // Fetch what is on screen again and repaint it in place; nothing flickers and the scroll position stays.
  async refresh() {
    const [first, last] = this.visible();
    const wanted = [];
    for (let page = Math.floor(first / PAGE_ROWS); page * PAGE_ROWS < last; page += 1) wanted.push(page);
    this.turn += 1;
    const mine = this.turn;
    for (const controller of this.loading.values()) controller.abort();
    this.loading.clear();
    const fresh = await Promise.all(wanted.map(async (page) => [page, await this.load(page * PAGE_ROWS, PAGE_ROWS)]));
    if (mine !== this.turn) return;
    this.pages = new Map(fresh);
    this.firstRows = null;
    this.draw(true);
  }

  repaint() { this.draw(true); }

  move(to, quietly = false) {
    if (!this.total) return;
    const before = this.active;
    this.active = Math.min(Math.max(to, 0), this.total - 1);
    for (const index of [before, this.active]) this.nodes.get(index)?.classList.toggle("active", index === this.active);
    const top = this.active * ROW_HEIGHT;
    const { scrollTop, clientHeight } = this.viewport;
    if (top < scrollTop) this.viewport.scrollTop = top;
    else if (top + ROW_HEIGHT > scrollTop + clientHeight) this.viewport.scrollTop = top + ROW_HEIGHT - clientHeight;
    this.draw(false);
    this.grid.setAttribute("aria-activedescendant", `row-${this.active}`);
    if (!quietly) this.changed(this.active);
  }

  toggle(index) {
    const row = this.row(index);
    if (!row) return;
    if (!this.selected.delete(row.id)) this.selected.add(row.id);
    const node = this.nodes.get(index);
    if (node) this.fill(index, node);
  }
}
