/** A value that cannot be read as its type, in the words of Kubernetes; decoding turns it into a 400. */
export class MalformedValue extends Error {
  override readonly name = "MalformedValue";
}
