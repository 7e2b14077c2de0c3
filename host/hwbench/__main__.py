from hwbench.cli.main import main

main()
