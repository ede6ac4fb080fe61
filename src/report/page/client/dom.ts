/** Elements, made without a string of markup: what is text stays text. */

export type Child = Node | string;

/** @param attributes set as they are; undefined ones are left out */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string | undefined>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A button that a click or the keyboard presses. */
export function button(text: string, press: (self: HTMLButtonElement) => void): HTMLButtonElement {
  const element = el("button", { type: "button" }, text);
  element.addEventListener("click", () => press(element));
  return element;
}

/** A choice of a list. */
export function choice(
  label: string,
  options: readonly (readonly [value: string, text: string])[],
  value: string,
  change: (value: string) => void,
): HTMLLabelElement {
  const select = el("select", {}, ...options.map(([own, text]) => el("option", { value: own }, text)));
  select.value = value;
  select.addEventListener("change", () => change(select.value));
  return el("label", {}, label, select);
}

/** Says something to those who listen, and nothing to those who look. */
export function announce(text: string): void {
  const id = "announcement";
  const region =
    document.getElementById(id) ??
    document.body.appendChild(
      el("div", {
        id,
        role: "status",
        style: "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)",
      }),
    );
  region.textContent = text;
}

export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // A page from the disk may have no clipboard of that kind.
    const area = el("textarea", { "aria-hidden": "true", style: "position:fixed;top:0;left:0;opacity:0" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
