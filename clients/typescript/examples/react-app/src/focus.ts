// A button that goes away with what it did must not take the place of whoever pressed it along.

const FOCUSABLE = "button, input, textarea, a[href], [tabindex]";

/** Within `root`, what is nearest to an element that has gone gets its focus. Returns what ends this. */
export function keepFocus(root: HTMLElement): () => void {
  const ending = new AbortController();
  let path: Element[] = [];
  const remember = ({ target }: Event) => {
    path = pathOf(target as Element, root);
  };
  const forget = () => {
    path = [];
  };
  const observer = new MutationObserver(() => {
    if (document.activeElement !== document.body || path[0]?.isConnected !== false) return;
    nearest(path)?.focus();
  });
  root.addEventListener("focusin", remember, ending);
  // Who clicks beside everything has left.
  root.addEventListener("pointerdown", forget, ending);
  observer.observe(root, { childList: true, subtree: true });
  return () => {
    observer.disconnect();
    ending.abort();
  };
}

/** An element and what it is in, the innermost first. */
function pathOf(element: Element, root: Element): Element[] {
  const path = [element];
  for (let each = element; each !== root && each.parentElement; each = each.parentElement)
    path.push(each.parentElement);
  return path;
}

function nearest(path: readonly Element[]): HTMLElement | undefined {
  for (const element of path) {
    if (!element.isConnected) continue;
    const found = [element, ...element.querySelectorAll(FOCUSABLE)].find(isReachable);
    if (found) return found;
  }
  return undefined;
}

function isReachable(element: Element): element is HTMLElement {
  return element instanceof HTMLElement && element.matches(FOCUSABLE) && element.checkVisibility();
}
