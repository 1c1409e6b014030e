import { GetConsoleOutputCommand } from "@aws-sdk/client-ec2";
import type { Send } from "./api.ts";
import { awsCodeOf, isKind } from "./errors.ts";

const consoleBytesMax = 65_536;

/** The console's tail; "" before there is one. The newest output exists for machines on Nitro alone. */
export async function consoleOf(send: Send, InstanceId: string, signal?: AbortSignal): Promise<string> {
  const ask = (Latest: boolean) => send("ec2", new GetConsoleOutputCommand({ InstanceId, Latest }), { signal });
  try {
    const { Output } = await ask(true).catch((error: unknown) => {
      if (awsCodeOf(error) !== "UnsupportedOperation") throw error;
      return ask(false);
    });
    return Buffer.from(Output ?? "", "base64")
      .subarray(-consoleBytesMax)
      .toString();
  } catch (error) {
    if (isKind(error, "absent", "busy")) return "";
    throw error;
  }
}
