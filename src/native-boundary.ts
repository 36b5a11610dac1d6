/** What both the output hold and the disk mirror give to a capture. Part of native.ts. */

declare const boundaryBrand: unique symbol;
/** An opaque native listener that is told, inside the pause, that an epoch has closed. */
export type NativeBoundary = { readonly [boundaryBrand]: true };
