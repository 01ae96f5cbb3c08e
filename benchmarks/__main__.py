"""`python -m benchmarks`: every benchmark, one after the other."""

from benchmarks import batched, battle, gridworlds, stage_games

if __name__ == "__main__":
    stage_games.main()
    print()
    battle.main()
    print()
    batched.main()
    print()
    gridworlds.main()
