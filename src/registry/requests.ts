import type { LabelMatcher } from "../api/labels.ts";
import type { KubeObject } from "../api/object.ts";
import type { ApiError } from "../api/status.ts";
import type { Stored } from "./stored.ts";

/** `manager`: goes into managedFields. `user`: for what names the one who asked. */
export type RequestOptions = {
  manager: string;
  dryRun?: boolean;
  fieldValidation?: "Strict" | "Warn" | "Ignore";
  user?: string;
  /** The value has its `metadata.managedFields` already, as after a server-side apply. */
  fieldsManaged?: boolean;
  /** What the parser of the body has seen and the value no longer shows, for field validation. */
  parsed?: { duplicates: readonly string[]; yaml?: string };
};

export type UpdateOptions = RequestOptions & {
  subresource?: string;
  /** Whether an absent object may be created by the update (PUT of some kinds, server-side apply). */
  createAllowed?: boolean;
  /** The value is a patched object: field validation words its refusal for a patch. */
  patched?: boolean;
  /** The patch as a refusal shows it; without one the patched object is shown. */
  patchText?: () => string;
};

/** Which objects of a kind. An empty or absent namespace means all. */
export type Selection = {
  namespace?: string;
  labels?: LabelMatcher;
  fields?: (object: KubeObject) => boolean;
};

export type ListQuery = Selection & {
  limit?: number;
  continue?: string;
  resourceVersion?: string;
  resourceVersionMatch?: string;
};
export type ListResult = {
  items: readonly Stored[];
  resourceVersion: string;
  continue?: string;
  remainingItemCount?: number;
};

export type WatchQuery = Selection & {
  /** As in the request: "" and "0" mean from now on, after the initial events. */
  from?: string;
  /** Send everything there is as ADDED first; with `bookmarks` a bookmark marks the end of it. */
  initialEvents: boolean;
  bookmarks: boolean;
};

/** A bookmark tells how far the watcher is; `initialEventsEnd`: everything there was has been sent. */
export type WatchEvent =
  | { type: "ADDED" | "MODIFIED" | "DELETED"; stored: Stored }
  | { type: "BOOKMARK"; revision: number; initialEventsEnd: boolean };

export type WatchHandlers = {
  /**
   * Events in commit order. While a returned promise is open nothing more is sent; a watcher that lets too many events
   * wait is cut with 410. The same event is handed to every watcher that gets it, so its encoding may be kept.
   */
  onEvents(events: readonly WatchEvent[]): Promise<void> | undefined;
  /** The stream is over and could not go on: 410 (list again) or 504 (the revision asked for is not written yet). */
  onError(error: ApiError): void;
};

export type WatchStream = {
  /** Begins to send, once. Ends when the signal given to `watch` aborts. */
  start(handlers: WatchHandlers): void;
  /** Everything up to here has been sent. */
  revision(): number;
};
