# Reference values for simulation and power.
# Run: Rscript semfit/tests/reference/simulation.R (from the root of the repository); it reads power_draws.csv, the
# samples that semfit drew (semfit/tests/test_simulation.py says how, and holds the file to it).
# Makes simulation.json and simulation_sessionInfo.txt:
#   populations   of each text: variables, covariance, means and thresholds that lavaan's simulateData draws from
#   power         of the samples: for each parameter what simsem::summaryParam tells (Estimate Average, Estimate SD,
#                 Average SE, Power, Average Param, Average Bias, Coverage), from lavaan's fits
suppressMessages({library(lavaan); library(jsonlite)})
OUT <- "semfit/tests/reference"
TEXTS <- list(
  cfa = "f =~ .8*x1 + .7*x2 + .6*x3\ng =~ .9*x4 + .5*x5 + .4*x6\nf ~~ .3*g\nf ~~ 1*f\ng ~~ 1*g\nx1 ~~ .36*x1",
  sem = "f =~ 1*x1 + .7*x2 + .6*x3\ng =~ 1*x4 + .5*x5 + .4*x6\ng ~ .4*f + .2*age\nf ~~ .7*f\ng ~~ .6*g\nx1 ~ 2*1\nage ~~ 4*age\nx2 ~~ .1*x4",
  defaults = "f =~ 1*x1 + .7*x2 + .6*x3\ng =~ 1*x4 + .5*x5 + .4*x6\nx7 ~ .2*f\nx8 ~ .3*f",
  path = "y ~ .3*m + .1*x\nm ~ .5*x\nx ~~ 2*x",
  ordered = "f =~ .8*x1 + .7*x2 + .6*x3\nf ~~ 1*f\nx1 | -.5*t1 + .5*t2\nx2 | 0*t1\nx3 | -1*t1 + 0*t2 + 1*t3",
  groups = "f =~ c(.8, .6)*x1 + c(.7, .9)*x2 + .5*x3\nf ~~ c(1, 2)*f\nf ~ c(0, .5)*1")
populations <- lapply(TEXTS, function(text) {
  sizes <- if (grepl("c(", text, fixed = TRUE)) c(50, 50) else 50
  data <- simulateData(text, sample.nobs = sizes, meanstructure = TRUE, return.fit = TRUE, seed = 1)
  implied <- lavInspect(attr(data, "fit"), "implied")
  if (length(sizes) == 1) implied <- list(implied)
  list(text = text, names = colnames(implied[[1]]$cov),
    groups = lapply(unname(implied), function(x) list(cov = unclass(unname(x$cov)), mean = as.numeric(x$mean),
      th = as.list(x$th))))
})
MODEL <- "f =~ x1 + x2 + x3\ny ~ b*f\nbb := b^2"
POPULATION <- "f =~ .8*x1 + .7*x2 + .6*x3\nf ~~ 1*f\ny ~ .3*f"
samples <- read.csv(file.path(OUT, "power_draws.csv"))
tight <- list(iter.max = 2000)
estimates <- function(fit) {
  e <- parameterEstimates(fit, remove.nonfree = FALSE)
  e[e$op == ":=" | paste(e$lhs, e$op, e$rhs) != "f =~ x1", c("lhs", "op", "rhs", "est", "se", "pvalue", "ci.lower", "ci.upper")]
}
fits <- lapply(split(samples[-1], samples$draw), function(d) estimates(sem(MODEL, d, control = tight)))
implied <- fitted(attr(simulateData(POPULATION, sample.nobs = 50, return.fit = TRUE, seed = 1), "fit"))$cov
truth <- estimates(sem(MODEL, sample.cov = implied, sample.nobs = 1e6, sample.cov.rescale = FALSE, control = tight))$est
take <- function(name) sapply(fits, `[[`, name)
power <- data.frame(fits[[1]][c("lhs", "op", "rhs")], population = truth, mean = rowMeans(take("est")),
  sd = apply(take("est"), 1, sd), mean_se = rowMeans(take("se")), power = rowMeans(take("pvalue") < .05),
  bias = rowMeans(take("est")) - truth, coverage = rowMeans(take("ci.lower") <= truth & truth <= take("ci.upper")))
write_json(list(populations = populations, power = power), file.path(OUT, "simulation.json"), digits = I(10), auto_unbox = TRUE)
writeLines(capture.output(sessionInfo()), file.path(OUT, "simulation_sessionInfo.txt"))
