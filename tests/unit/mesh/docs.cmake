foreach(part alloc cluster log netmap ranges story)
	hearth_test(test-${part} SOURCES test-${part}.c mesh-maker.c LINK hearth_mesh)
endforeach()
