"use strict";
// The header buttons of the layer table sort its rows; empty cells stay last, equal ones keep their order.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const said = table.parentElement.parentElement.querySelector("[role=status]");
  heads.forEach((head, column) => {
    const words = head.dataset.kind === "words";
    const value = (row) => {
      const text = row.cells[column].textContent.trim();
      if (words || text === "") return text;
      return text === "inf" ? Infinity : parseFloat(text);
    };
    head.querySelector("button").addEventListener("click", () => {
      const way = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      const rows = [...body.rows].map((row) => [value(row), row]);
      rows.sort(([one], [other]) => {
        if (one === other) return 0;
        if (one === "" || other === "") return one === "" ? 1 : -1;
        return way * (words ? one.localeCompare(other, "en", { numeric: true }) : one < other ? -1 : 1);
      });
      body.append(...rows.map(([, row]) => row));
      for (const each of heads) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", way === 1 ? "ascending" : "descending");
      said.textContent = `sorted by ${head.dataset.name}, ${way === 1 ? "smallest" : "largest"} first`;
    });
  });
}
