/** What native parts give to one another by way of JavaScript. Part of native.ts. */

declare const boundaryBrand: unique symbol;
/** An opaque native listener that is told, inside the pause, that an epoch has closed. */
export type NativeBoundary = { readonly [boundaryBrand]: true };

declare const triggerBrand: unique symbol;
/** An opaque native call that is prepared; whoever is given it may begin it. */
export type NativeTrigger = { readonly [triggerBrand]: true };

/** What has not begun yet. */
export interface NativePreparedCall {
  readonly trigger: NativeTrigger;
  /** True for the one call, here or of the trigger, that begins it. */
  fire(): boolean;
  /** True when it has not begun and never will. */
  cancel(): boolean;
  /** CLOCK_MONOTONIC; 0n while it has not begun. */
  begunAtNs(): bigint;
}
