/** Tables that sort by a column, show the rows that a filter leaves, and can be copied as CSV. */
import { csvLine } from "../../../lib/csv.ts";
import { announce, button, type Child, copyText, el } from "./dom.ts";

export interface Column<Row> {
  readonly header: string;
  /** what is sorted by and copied; null where there is nothing */
  value(row: Row): string | number | null;
  /** what is shown; default: the value */
  show?(row: Row): Child;
  readonly kind?: "text" | "number" | "wrap" | "code";
  /** a control, which is neither sorted by nor copied */
  readonly control?: boolean;
}

export interface TableOptions<Row> {
  /** of the table, for those who listen */
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  /** the row's place in the filter */
  readonly matches?: (row: Row, filter: string) => boolean;
}

export interface ShownTable {
  readonly element: HTMLElement;
  filter(text: string): void;
  /** makes the rows: not before somebody looks, because a long table takes its time */
  show(): void;
}

export function makeTable<Row>({ label, columns, rows, matches }: TableOptions<Row>): ShownTable {
  let order = [...rows];
  let filter = "";
  let shown = false;
  let sorted: { readonly column: Column<Row>; readonly descending: boolean } | undefined;
  const body = el("tbody");
  const left = () => order.filter((row) => filter === "" || (matches?.(row, filter) ?? true));
  const lines = new Map<Row, HTMLTableRowElement>();
  const lineOf = (row: Row): HTMLTableRowElement => {
    let line = lines.get(row);
    if (!line) {
      line = el(
        "tr",
        {},
        ...columns.map((column) => {
          const value = column.value(row);
          const classes = { class: `${classOf(column)}${column.control ? " draw" : ""}` };
          return el("td", classes, column.show?.(row) ?? (value === null ? "–" : String(value)));
        }),
      );
      lines.set(row, line);
    }
    return line;
  };
  const update = () => body.replaceChildren(...left().map(lineOf));
  const headers = columns.map((column) => {
    const cell = el("th", { scope: "col", class: `${classOf(column)}${column.control ? " draw" : ""}` });
    if (column.control) {
      cell.append(column.header);
      return cell;
    }
    cell.append(
      button(column.header, () => {
        // Numbers are looked at from the largest down, names from A.
        const first = column.kind === "text" || column.kind === "wrap" || column.kind === "code";
        const descending = sorted?.column === column ? !sorted.descending : !first;
        sorted = { column, descending };
        order = sortRows(rows, column, descending);
        for (const other of headers) other.removeAttribute("aria-sort");
        cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
        update();
      }),
    );
    return cell;
  });
  const copied = columns.filter(({ control }) => !control);
  const copy = button("Copy as CSV", (self) => {
    const cells = [copied.map(({ header }) => header), ...left().map((row) => copied.map(({ value }) => value(row)))];
    void copyText(cells.map(csvLine).join("")).then((done) => {
      const text = done ? `Copied ${cells.length - 1} rows` : "Could not copy";
      self.textContent = text;
      announce(`${label}: ${text}`);
      setTimeout(() => {
        self.textContent = "Copy as CSV";
      }, 2000);
    });
  });
  copy.setAttribute("aria-label", `Copy as CSV: ${label}`);
  const table = el("table", {}, el("thead", {}, el("tr", {}, ...headers)), body);
  const region = el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": `Table: ${label}` }, table);
  return {
    element: el("div", {}, el("div", { class: "tools" }, copy), region),
    filter(text) {
      filter = text;
      if (shown) update();
    },
    show() {
      if (shown) return;
      shown = true;
      update();
    },
  };
}

/** What has no value comes last, in either direction. */
function sortRows<Row>(rows: readonly Row[], column: Column<Row>, descending: boolean): Row[] {
  const sign = descending ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [column.value(a), column.value(b)];
    if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1;
    return sign * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), "en"));
  });
}

function classOf<Row>({ kind = "number" }: Column<Row>): string {
  return kind === "number" ? "" : kind === "text" ? "text" : kind === "wrap" ? "text wrap" : "text code";
}
