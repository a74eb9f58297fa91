/**
 * The types of the client as a library.
 *
 * @module
 */

export type { ClientFacts, ERROR_CODES, ErrorCode, Stored } from "../../protocol.ts";
export type { Code, LocalCode } from "../../lib/errors.ts";
export type { ServerAddress } from "../../lib/address.ts";
export type { LinkRule } from "../../lib/store/link_rules.ts";
export type { ClientOptions } from "../dialer.ts";
export type * from "./types.ts";
export type { FailedItem, ResultItem, SendResult, SentItem } from "../result.ts";
export type { ConnectOptions, SendOptions } from "../send_options.ts";
export type { WireOptions } from "../wire_options.ts";
