# lavaan's time for one case of bench.py, in milliseconds: Rscript bench.R <case> <data> <model> <draws>
# Every table that the package makes as well is asked for: estimates, standardised solution, fit measures, residuals.
suppressMessages(library(lavaan))
options(warn = -1)
argument <- commandArgs(trailingOnly = TRUE)
case <- argument[1]; draws <- as.integer(argument[4])
data <- read.csv(argument[2])
model <- paste(readLines(argument[3]), collapse = "\n")
measurement <- paste(grep("^[^#]*(=~|~~)", readLines(argument[3]), value = TRUE), collapse = "\n")
ordered <- grep("^(cul|env|way|rep)_", names(data), value = TRUE)

tables <- function(fit) {
  list(parameterEstimates(fit, standardized = TRUE), standardizedSolution(fit), fitMeasures(fit),
       residuals(fit, type = "cor.bentler"), lavInspect(fit, "r2"))
}
fit <- function(...) tables(sem(model, data, ...))
steps <- function() {
  equal <- list("", "loadings", c("loadings", "intercepts"), c("loadings", "intercepts", "residuals"))
  fits <- lapply(equal, function(e) cfa(measurement, data, estimator = "MLR", missing = "fiml", group = "solo",
                                        group.equal = e))
  lapply(fits, fitMeasures)
  do.call(lavTestLRT, fits)
}
# A part of the draws, as each takes as long: the time is scaled up. bootstrapLavaan (0.6-14) stops on these resamples with
# missing values: with fiml, plain refits without standard errors and tests are timed, and halved for two cores.
boot <- function(few) {
  one <- sem(model, data)
  start <- proc.time()[["elapsed"]]
  bootstrapLavaan(one, R = few, FUN = coef, parallel = "multicore", ncpus = 2)
  scaled(start, few)
}
boot_fiml <- function(few) {
  set.seed(1)
  data <- data[complete.cases(data[c("size", "b2c", "east")]), ]
  start <- proc.time()[["elapsed"]]
  for (i in seq_len(few)) sem(model, data[sample(nrow(data), replace = TRUE), ], missing = "fiml", se = "none",
                              test = "none", baseline = FALSE)
  scaled(start, 2 * few)
}
scaled <- function(start, few) {
  cat(1000 * (proc.time()[["elapsed"]] - start) * draws / few, "\n")
  quit(save = "no")
}
calls <- list(
  ml = list(function() fit(estimator = "ML"), 5), mlr = list(function() fit(estimator = "MLR"), 5),
  fiml = list(function() fit(estimator = "ML", missing = "fiml"), 3),
  mlr_fiml = list(function() fit(estimator = "MLR", missing = "fiml"), 3),
  wlsmv = list(function() fit(estimator = "WLSMV", ordered = ordered), 3), invariance = list(steps, 1),
  bootstrap = list(function() boot(100), 1), bootstrap_fiml = list(function() boot_fiml(10), 1))
chosen <- calls[[case]]
times <- sapply(seq_len(chosen[[2]] + (chosen[[2]] > 1)), function(i) system.time(chosen[[1]]())[["elapsed"]])
cat(1000 * median(if (length(times) > 1) times[-1] else times), "\n")
