/**
 * The catalogue of failures that drover expects and can explain: what a client is answered, whether the same call may
 * succeed later, and what the reader should do next. `docs/errors.md` is generated from it.
 */
export const catalogue = {
  STORE_COMPACTED: { status: 410, retryable: false, hint: "List again and watch from the new resourceVersion." },
  STORE_FUTURE: { status: 504, retryable: true, hint: "The store has not reached this revision yet; try again." },
  STORE_SLOW_WATCHER: { status: 410, retryable: false, hint: "List again and watch from the new resourceVersion." },
  STORE_UNAVAILABLE: { status: 503, retryable: true, hint: "Look at the disk: `df -h`, then the log of drover serve." },
  STORE_LOCKED: { status: 503, retryable: false, hint: "Stop the other drover, or give this one its own --data DIR." },
  CLOUD_CAPACITY: { status: 503, retryable: true, hint: "Request less, free some machines, or choose another zone." },
  CLOUD_QUOTA: { status: 503, retryable: true, hint: "Raise the named quota, or scale something else down." },
  CLOUD_THROTTLED: { status: 503, retryable: true, hint: "Nothing to do: drover slows down and repeats the call." },
  CLOUD_AUTH: {
    status: 503,
    retryable: true,
    hint: "Log in again or grant the named permission; drover goes on then.",
  },
  CLOUD_UNAVAILABLE: {
    status: 503,
    retryable: true,
    hint: "The call may or may not have happened; drover repeats it.",
  },
  CLOUD_INVALID: { status: 422, retryable: false, hint: "Change the named field; the provider refuses its value." },
  BOX_UNREACHABLE: { status: 503, retryable: true, hint: "Look at the console's tail in `kubectl describe pod`." },
  BOX_TAKEN: { status: 409, retryable: false, hint: "The machine belongs to another Pod; this one needs its own." },
  BOX_REFUSED: { status: 400, retryable: false, hint: "Read the message: the machine's agent named the problem." },
  USER_DATA_TOO_LARGE: { status: 422, retryable: false, hint: "Move files into the image or a ConfigMap volume." },
  TEMPLATE_INVALID: { status: 422, retryable: false, hint: "Correct the named cloud-init template." },
  SETUP_MISSING: { status: 503, retryable: false, hint: "Run the printed command once, then repeat yours." },
  PORT_UNAVAILABLE: { status: 503, retryable: false, hint: "Name another with --port N; 0 takes any free one." },
  USAGE: { status: 400, retryable: false, hint: "See `drover help`." },
} as const;

export type ErrorCode = keyof typeof catalogue;

/** A failure we expect and can explain. A bug is an `assert`, never a DroverError. */
export class DroverError extends Error {
  override readonly name = "DroverError";
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, string | number>>;

  /** `message`: one sentence that names the thing that failed and why, without the hint. */
  constructor(code: ErrorCode, message: string, details: Record<string, string | number> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
  }

  /** HTTP status, whether the same call may succeed later, and what the reader should do next. */
  advice = (): (typeof catalogue)[ErrorCode] => catalogue[this.code];
}

export const isCode = (error: unknown, code: ErrorCode): error is DroverError =>
  error instanceof DroverError && error.code === code;

/** The provider has said it for all calls that fail of the same cause. */
export const isTold = (error: unknown): boolean => error instanceof DroverError && error.details["told"] === 1;
