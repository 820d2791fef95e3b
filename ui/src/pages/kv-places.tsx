// Bookmarked and recently opened keys, above the list of all keys; and the button that marks one.
import type { JSX } from "preact";
import { folderPath, keyPath } from "../paths";
import { bookmarks, recent, toggleBookmark } from "../places";
import { Button, Link, PathText } from "../ui";

const toPlace = (dc: string, path: string) => (path.endsWith("/") ? folderPath(dc, path) : keyPath(dc, path));

export function Places({ dc }: { dc: string }): JSX.Element {
  const others = recent.value.filter((path) => !bookmarks.value.includes(path));
  return (
    <>
      <List dc={dc} title="Bookmarks" paths={bookmarks.value} />
      <List dc={dc} title="Recent" paths={others} />
    </>
  );
}

function List({ dc, title, paths }: { dc: string; title: string; paths: string[] }): JSX.Element | null {
  if (paths.length === 0) return null;
  return (
    <nav class="places" aria-label={title}>
      <span class="hint">{title}</span>
      {paths.map((path) => <Link key={path} to={toPlace(dc, path)}><PathText path={path} /></Link>)}
    </nav>
  );
}

export function BookmarkButton({ path }: { path: string }): JSX.Element {
  const marked = bookmarks.value.includes(path);
  return <Button icon="star" pressed={marked} title={marked ? "Remove the bookmark" : "Keep a bookmark in this browser"} onClick={() => toggleBookmark(path)}>Bookmark</Button>;
}
