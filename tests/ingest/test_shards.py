"""Which connection reads which instruments."""

from sofia_streams.ingest.names import Names
from sofia_streams.ingest.sockets.shards import shards
from sofia_streams.settings import Settings
from sofia_streams.venues.registry import VENUES


def test_many_instruments_are_spread_over_connections_within_the_limits_of_the_venue():
    pairs = tuple(f"C{number}/USDT" for number in range(450))
    settings = Settings(crypto_exchanges=tuple(VENUES), crypto_symbols=pairs)
    for venue, protocol in VENUES.items():
        of_venue = [shard for shard in shards(settings, Names()) if shard.venue == venue]
        assert sum(len(shard.listings) for shard in of_venue) == len(pairs)
        assert max(len(shard.listings) for shard in of_venue) <= protocol.limits.symbols_max
        assert len({shard.name for shard in of_venue}) == len(of_venue) > 1
