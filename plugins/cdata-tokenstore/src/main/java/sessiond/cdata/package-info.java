/**
 * Keeps the tokens of CData's drivers in sessiond: what {@code TokenStoreFactory} names in a
 * connection string.
 *
 * <p>{@link sessiond.cdata.TokenStoreFactory} and {@link sessiond.cdata.TokenStore} are what a
 * driver finds by reflection. {@code StoreCalls} speaks sessiond's HTTP API, {@code Connections}
 * and what is beneath it HTTP/1.1 over a Unix socket, {@code Holds} remembers which lock is whose.
 */
package sessiond.cdata;
