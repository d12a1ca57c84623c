"use strict";
// Which cells belong together follows from the matrix entries: each has a row, a column, weights.
for (const explorer of document.querySelectorAll(".explorer")) {
  const boards = [...explorer.querySelectorAll("svg[data-board]")];
  const kinds = Object.fromEntries(boards.map((b) => [b.dataset.board, [...b.querySelectorAll(".cell")]]));
  const status = explorer.querySelector(".status");
  const list = (words) => (words || "").split(" ").filter(Boolean);
  const shares = (cell, weights) => list(cell.dataset.weights).some((w) => weights.has(w));
  const nameOf = (cell) => cell.querySelector("title").textContent;

  const belonging = (kind, cell) => {
    const { row, column } = cell.dataset;
    const same = new Set(list(cell.dataset.weights));
    const chosen = kinds.matrix.filter((entry) =>
      kind === "output" ? entry.dataset.row === row
        : kind === "input" ? entry.dataset.column === column
          : shares(entry, same));
    const weights = new Set(kind === "matrix" || kind === "kernel" ? same
      : chosen.flatMap((entry) => list(entry.dataset.weights)));
    const rows = new Set(kind === "kernel" ? [] : kind === "matrix" ? [row] : chosen.map((e) => e.dataset.row));
    const columns = new Set(kind === "kernel" ? [] : kind === "matrix" ? [column] : chosen.map((e) => e.dataset.column));
    return {
      matrix: chosen,
      kernel: kinds.kernel.filter((w) => shares(w, weights)),
      output: kinds.output.filter((y) => y === cell || rows.has(y.dataset.row)),
      input: kinds.input.filter((x) => x === cell || columns.has(x.dataset.column)),
    };
  };

  const description = (kind, cell, related) => {
    const entries = `${related.matrix.length} ${related.matrix.length === 1 ? "entry" : "entries"}`;
    const used = `${related.kernel.length} of ${kinds.kernel.length} weights`;
    if (kind === "output") return `${nameOf(cell)}: row ${cell.dataset.row} of the matrix, ${entries}; its patch has ${related.input.length} inputs; it uses ${used}.`;
    if (kind === "input") return `${nameOf(cell)}: column ${cell.dataset.column} of the matrix, ${entries}; it reaches ${related.output.length} outputs, through ${used}.`;
    return `${nameOf(cell)}. The same weight is in ${entries}.`;
  };

  const clear = () => {
    explorer.classList.remove("lighting");
    for (const cell of explorer.querySelectorAll(".lit, .here")) cell.classList.remove("lit", "here");
    status.textContent = "";
  };
  const light = (cell) => {
    const kind = cell.closest("svg").dataset.board;
    clear();
    const related = belonging(kind, cell);
    explorer.classList.add("lighting");
    for (const cells of Object.values(related)) for (const each of cells) each.classList.add("lit");
    cell.classList.add("lit", "here");
    status.textContent = description(kind, cell, related);
  };

  // One tab stop for each board; the arrow keys move within it.
  const at = (cell) => [Number(cell.dataset.gridRow), Number(cell.dataset.gridColumn)];
  const steps = { ArrowLeft: [1, -1], ArrowRight: [1, 1], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const next = (cells, cell, key) => {
    if (key === "Home") return cells[0];
    if (key === "End") return cells[cells.length - 1];
    if (!(key in steps)) return null;
    const [along, way] = steps[key];
    const from = at(cell);
    const distance = (other) => (at(other)[along] - from[along]) * way;
    const ahead = cells.filter((other) => at(other)[1 - along] === from[1 - along] && distance(other) > 0);
    return ahead.reduce((best, other) => (!best || distance(other) < distance(best) ? other : best), null);
  };
  for (const board of boards) {
    const cells = kinds[board.dataset.board];
    cells.forEach((cell, number) => cell.setAttribute("tabindex", number ? "-1" : "0"));
    // Listen on the parent box: Chromium makes an SVG with a focus listener a tab stop of its own.
    const box = board.parentElement;
    box.addEventListener("pointerover", (event) => {
      const cell = event.target.closest(".cell");
      if (cell) light(cell);
    });
    box.addEventListener("pointerleave", () => {
      const held = explorer.contains(document.activeElement) && document.activeElement.closest(".cell");
      if (held) light(held); else clear();
    });
    box.addEventListener("focusin", (event) => {
      const cell = event.target.closest(".cell");
      if (!cell) return;
      for (const other of cells) other.setAttribute("tabindex", other === cell ? "0" : "-1");
      light(cell);
    });
    box.addEventListener("focusout", clear);
    box.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { document.activeElement.blur(); return; }
      const cell = event.target.closest(".cell");
      const target = cell && next(cells, cell, event.key);
      if (event.key in steps || target) event.preventDefault();
      if (target) target.focus();
    });
  }
  explorer.querySelector(".hint").hidden = false;
}
