foreach(part alloc cluster log netmap ranges)
	hearth_test(test-${part} SOURCES test-${part}.c mesh-maker.c LINK hearth_mesh)
endforeach()
