import { Socket } from "node:net";
import type { Duplex } from "node:stream";

/**
 * Joins two streams that were opened with `allowHalfOpen`: bytes, back-pressure and the end of each direction pass
 * from one to the other, and when one breaks, so does the other.
 */
export function splice(left: Duplex, right: Duplex): void {
  carry(left, right);
  carry(right, left);
}

function carry(from: Duplex, to: Duplex): void {
  from.pipe(to);
  from.on("error", () => sever(to));
  from.on("close", () => {
    // An ordinary end has passed through `pipe` by now; whatever is still open belongs to nobody any more.
    if (!from.readableEnded) sever(to);
  });
}

/** A TCP peer is told with a reset, so that a cut is never taken for an ordinary end. */
function sever(stream: Duplex): void {
  if (stream instanceof Socket && stream.remoteAddress !== undefined) stream.resetAndDestroy();
  else stream.destroy();
}
